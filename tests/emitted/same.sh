# The same bytes whoever builds, wherever.
german=$(locale -a 2> log | grep -i -m 1 '^de_DE' || locale -a 2> log | grep -i -m 1 '^C\.utf' || echo C)
mkdir -p one/deep two
that 'builds' build "$story" -t x86_64,x86_64-v3 -o one/deep/story
cp "$story" two/
that 'builds elsewhere' env -i PATH="$PATH" HOME=/nonexistent LC_ALL="$german" LANG="$german" TZ=Asia/Kathmandu COLUMNS=40 MAKEFLAGS=-j3 \
    OMP_NUM_THREADS=1 sh -c 'umask 077; cd two && "$1" build ./story.gguf --target x86_64,x86_64-v3 -o ../two/./story/' sh "$sinter"
that 'another folder, locale, clock, mask and way to say it: the same bytes' diff -r one/deep/story two/story
that 'over what is there' build "$story" -t x86_64,x86_64-v3 -o two/story
that 'over what is there: the same bytes' diff -r one/deep/story two/story

# From the scheduled Module alone.
that 'builds from the .sir' build one/deep/story/story.sir -o three/story
that 'from the .sir: the same bytes' diff -r one/deep/story three/story
that 'from its own .sir' build three/story/story.sir -o three/story
that 'from its own .sir: the same bytes' diff -r one/deep/story three/story
that 'builds with options' build "$story" -t portable --act prefill=q8,decode=f32 --kv f32 --ctx 128 --link-weights --name tale -o four
that 'builds its .sir' build four/tale.sir -o five
that 'with options, from the .sir: the same bytes' diff -r four five
that 'builds with panels' build "$story" -t portable --act prefill=i8 -o i8/story
that 'builds its .sir' build i8/story/story.sir -o again/story
that 'with panels, from the .sir: the same bytes' diff -r i8/story again/story
cut -c 1-64 < two/story/story.sir > two/story/cut.sir
refuses 1 'cut.sir' build two/story/cut.sir -o six
cp one/deep/story/story.sir lonely.sir
refuses 1 'lonely.weights' build lonely.sir -o six
cp two/story/story.sir three/damaged.sir
head -c 100000 two/story/story.weights > three/damaged.weights
refuses 1 'damaged.weights' build three/damaged.sir -o six
that 'a build that failed leaves nothing' [ ! -e six ]

# Two models of different shape, so that the test sees more than one.
for p in 0 1; do
    that "payload $p" "$hostile" $p h$p.gguf
    that 'builds' build h$p.gguf -t portable -o h$p-a/h
    that 'builds again' env LC_ALL="$german" "$sinter" build h$p.gguf -t portable -o h$p-b/h
    that 'the same bytes' diff -r h$p-a h$p-b
    that 'builds from the .sir' build h$p-a/h/h.sir -o h$p-c/h
    that 'from the .sir: the same bytes' diff -r h$p-a h$p-c
done
grep -rlIE "/home/|/tmp/|$work" one/deep/story > found; none 'no path and no host in the folder'
