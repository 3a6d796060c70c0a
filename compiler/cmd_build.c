/* sinter build: one model to one folder, or what a sinter.yaml asks for. */
#include "compiler/cmd.h"

int cmd_build(Args *args)
{
    const char *config = arg_value(args, "--file");
    BuildOptions *build = &args->build;
    int n = 1, worst = EXIT_done;

    if (args->n_pos)
        args->build.model = args->pos[0];
    if (config)
        n = config_load(args->fs, args->a, args->d, config, &args->build, &build);
    else if (!args->build.model)
        return usage_error(args, "build: no model (give one, or -f sinter.yaml)");
    if (!n)
        return EXIT_failed;
    for (int i = 0; i < n && !pipeline_interrupted(); i++) {
        int status = pipeline_run(args->fs, args->a, args->d, &build[i]);

        if (n > 1 && status)
            note(args->d, "the target '%s' was not built", build[i].target);
        if (status == EXIT_failed || worst == EXIT_done) /* a failure says more than a budget */
            worst = status;
    }
    return worst;
}
