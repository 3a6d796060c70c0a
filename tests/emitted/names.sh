# Names: of the library (--name), of the model's file, of the folder.
clean() { [ -z "$(find . -name '*pwned*' ! -name '*touch*' | head -n 1)" ]; }
that 'a model' "$hostile" 0 h.gguf

# Each is refused (some would be functions of libc: pthread_cancel, sem_open, shm_open, mq_close) with a sentence, or gives C that compiles and links.
long=$(printf '%064d' 0 | tr 0 x)
accepted=0 refused=0
for n in int m _x __x 9a é 'a b' '' ../x a-b a.b '$(touch pwned)' '"; system("x' main runtime text kernels weights kernels_portable NAME NULL EOF \
    errno stdin bool true unix linux size_t printf malloc free pthread sem mq shm sched decode prefill layer layers states isas features sn \
    SN Sn_x kernel assert "${long%????????????????}" "${long%???????????????}" "$long" _Bool operator class c args r t u Run Session a A portable \
    x86_64 obj base CC all clean install PHONY lib story_ o h_internal MAX T O; do
    rm -rf out
    "$sinter" build h.gguf -t portable --name "$n" -o out > log 2>&1
    case $? in
    0)
        accepted=$((accepted + 1))
        quiet "--name '$n': compiles" gcc -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -fsyntax-only out/*.c
        case $n in NULL | decode | printf | shm | mq | sem | states | x86_64)
            quiet "--name '$n': make" make -s -C out CFLAGS=-O0
            that "--name '$n': runs" "out/$n" -p x -n 2 --ignore-eos
        esac ;;
    1 | 2)
        refused=$((refused + 1))
        [ ! -e out ] && grep -q -e "--name" -e "name of a C" log; ok=$?
        if [ $ok = 0 ]; then good; else bad "--name '$n' is refused without saying why"; fi ;;
    *) bad "--name '$n': ended by a signal" ;;
    esac
done
for n in pthread sem mq shm weights kernels_portable int; do refuses 2 "is a" build h.gguf -t portable --name $n -o out; done
if [ $accepted -gt 9 ] && [ $refused -gt 9 ]; then good; else bad "$accepted names accepted, $refused refused"; fi
# The model's file may be called anything; without -o and --name the folder and the library are named after it.
nl='
'
mkdir files && cd files || exit 1
n_file=0
for n in 'a b' "it's" 'say "x"' '$(touch pwned)' '`touch pwned`' "a${nl}b" "a${nl}#error" '-t' 'star*?' 'é' ';touch pwned;' '%s%n' '<script>' '??)' \
    'back\slash' 'int' 'main' '9' '_' '.hidden' 'a:b' '#' '=' '$$' '*' "*${nl}" 'x.y.z' '~' '&' '|' "$long$long$long"; do
    n_file=$((n_file + 1))
    cp ../h.gguf "./$n.gguf"
    rm -rf out dep.d
    that "file '$n': builds" build "./$n.gguf" -t portable -o out/model
    case $n in
    *"$nl"* | *';'*) refuses 1 'line break' build "./$n.gguf" -t portable -o out/other -MF dep.d ;;
    *)
        that "file '$n': builds with a depfile" build "./$n.gguf" -t portable -o out/model -MF dep.d
        that "file '$n': make reads the depfile" make -q -f dep.d out/model/manifest.json ;;
    esac
    quiet "file '$n': gcc" gcc -std=c11 -D_GNU_SOURCE -trigraphs -Wall -Wextra -fsyntax-only out/model/model.c
    that "file '$n': the manifest" python3 -m json.tool out/model/manifest.json
    that "file '$n': builds its .sir" build out/model/model.sir -o out/again
    [ "$n" = -t ] || that "file '$n': without -o" build "./$n.gguf" -t portable
    made=$(find . -name '*.sir' ! -path './out/*' | head -n 1)
    if [ -n "$made" ]; then
        good
        case $n_file in 1 | 4 | 6) quiet "file '$n': make" make -s -C "./$n" CFLAGS=-O0 ;; esac
    elif [ "$n" != -t ]; then bad "file '$n': no folder"; fi
    rm -rf "./$n" "./$n.gguf"
    find . -mindepth 1 -maxdepth 1 ! -name out ! -name log -exec rm -rf {} +
done
that 'nothing else was done' clean

# The folder may be anywhere.
cd .. || exit 1
for n in 'a b' '$(touch pwned)' "x${nl}y" 'q"q'"'"'q' 'a;b&c'; do
    mkdir -p "./$n" && cp h.gguf "./$n/h.gguf"
    that "in '$n': builds" build "./$n/h.gguf" -t portable --link-weights -o "./$n/h"
    quiet "in '$n': make" make -s -C "./$n/h" CFLAGS=-O0
    that "in '$n': runs" "./$n/h/h" -p x -n 2 --ignore-eos
done
that 'nothing else was done' clean
