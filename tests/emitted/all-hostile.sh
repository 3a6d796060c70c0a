# Every payload compiled and run.
all=1
. "$here/hostile.sh"
