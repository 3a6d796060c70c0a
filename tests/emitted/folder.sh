# The library as a linker and a compiler see it.
C='-O2 -ffp-contract=off -Wall -Wextra -Wpedantic -Wconversion'

that 'builds' build "$story" -t x86_64-v3 -o story
quiet 'make without a warning' env CFLAGS=-O2 make -s -C story
nm story/libstory.a > symbols 2> /dev/null

# What it calls: a list, so that anything new is looked at.
awk '$1 == "U" { print $2 }' symbols | grep -v '^story_' | sort -u > calls
tr ' ' '\n' > allowed <<'LIST'
__errno_location __sched_cpucount close fstat lseek open read mmap munmap pread sysconf sched_getaffinity sched_yield clock_gettime
memchr memcmp memcpy memmove memset strchr strcmp strcspn strlen strncmp strspn strstr strtol strtoul
pthread_attr_init pthread_cond_broadcast pthread_cond_destroy pthread_cond_init pthread_cond_signal pthread_cond_timedwait
pthread_cond_wait pthread_create pthread_join pthread_mutex_destroy pthread_mutex_init pthread_mutex_lock pthread_mutex_unlock
pthread_sigmask sigfillset sigemptyset __stack_chk_fail
LIST
grep -vxFf allowed calls > found; none 'calls nothing but what is listed'
for f in malloc calloc realloc free printf fprintf puts putchar fwrite exit abort _exit __assert_fail; do
    grep -x $f calls > found; none "does not call $f"
done
awk 'NF == 3 && $2 ~ /[A-Z]/ && $3 !~ /^story_/ { print }' symbols > found
none 'external names begin with story_'
size -A story/libstory.a | awk '($1 ~ /^\.(data|bss|tdata|tbss)/ && $1 !~ /^\.data\.rel\.ro/ && $2 > 0) || $1 == "COMMON"' > found
none 'no variables: everything that changes is in the caller'"'"'s memory'

# Code and tables of what is linked into an app.
bytes=$(size -A story/libstory.a | awk '$1 ~ /^\.(text|rodata|data\.rel\.ro)/ { n += $2 } END { print n }')
that "text and rodata: $bytes bytes of at most 98304" [ "$bytes" -le 98304 ]

# Warnings: the baseline files as strict C11, the files of an instruction set as gnu11; from both compilers.
for cc in gcc "$clang"; do
    [ -n "$cc" ] || { skip 'clang is not installed'; continue; }
    for f in story.c runtime.c text.c main.c; do
        quiet "$cc -Wconversion $f" $cc -std=c11 -pedantic-errors $C -c story/$f -o x.o
    done
    quiet "$cc -Wconversion story_x86_64_v3.c" $cc -std=gnu11 $C -O3 -mavx2 -mfma -mf16c -c story/story_x86_64_v3.c -o x.o
done
# One program, one translation unit: the header alone, twice, in C99 and in C++.
printf '#include "story.h"\n#include "story.h"\nint use(void);\nint use(void) { return story_N_VOCAB + (int)sizeof(story_Model); }\n' > use.c
quiet 'story.h is C99' gcc -std=c99 -pedantic-errors $C -Istory -c use.c -o x.o
if command -v g++ > log 2>&1; then
    quiet 'story.h is C++' g++ -x c++ -std=c++11 -pedantic-errors -Wall -Wextra -Istory -c use.c -o x.o
else skip 'g++ is not installed'; fi

# Every other target's code, too.
for t in portable x86_64-v4; do
    that "builds for $t" build "$story" -t $t -o other-$t --name story
    quiet "story_$t.c" gcc -std=gnu11 $C -Wno-psabi -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx512vnni -mavx2 -mfma -mf16c -fsyntax-only other-$t/story_*.c
done
