#!/bin/sh
# If this fails, run.sh lets wrong documents pass.  A document whose every step is right, and one whose every step is wrong.
set -u
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
printf '#!/bin/sh\n[ "$1" = ok ] && echo it is well\n' > "$tmp/sinter"
chmod +x "$tmp/sinter"

cat > "$tmp/right.md" << 'EOF'
```c file=sub/a.c
int a;
```
```sh run
$ sinter ok
it is well
$ sinter no  # exit 1
$ cat sub/a.c model.gguf | head -c 6 && \
    echo
int a;
$ printf 'a (b)\nc\nd*\n'
a (b)
[...]
d*
$ echo anything
```
```sh run
test -e story.gguf
sinter ok
```
<!-- sh run: echo > hidden -->
```sh run
test -e hidden
```
```sh sketch
sinter no such thing
```
EOF
cat > "$tmp/wrong.md" << 'EOF'
```sh run
$ sinter no
$ sinter ok  # exit 1
$ echo one two
one
$ printf 'a\nb\n'
[...]
c
```
```sh run
false
true
```
```
$ sinter ok
```
EOF
n_pass=0 n_fail=0
expect() { # document, last line of what run.sh prints, exit status
    "$here/run.sh" "$tmp/sinter" "$tmp/$1.md" > "$tmp/out" 2>&1
    status=$?
    if [ "$(tail -n 1 "$tmp/out")" = "$2" ] && [ $status = "$3" ]; then
        n_pass=$((n_pass + 1))
    else
        n_fail=$((n_fail + 1))
        echo "FAIL $1.md: exit $status"
        cat "$tmp/out"
    fi
}
expect right "8 passed, 0 failed, 0 skipped" 0
expect wrong "0 passed, 6 failed, 0 skipped" 1
echo "$n_pass passed, $n_fail failed, 0 skipped"
[ $n_fail = 0 ]
