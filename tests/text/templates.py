#!/usr/bin/env python3
"""Chat templates through the text layer and through jinja2, side by side.

    templates.py TEXT_TOOL TEMPLATE.jinja...

Each template renders twenty conversations: with and without a system message, several turns, empty contents, white space around
them, roles that do not alternate, no message at all, tools' answers, other scripts.  What jinja2 refuses (raise_exception, or an
error of its own) must be refused.  Prints a line for each template: how many words of program, or what is not known; then what
renders differently.  Exit 1 if anything does.  Needs: jinja2 (3.1)."""
import json
import subprocess
import sys

import jinja2
from jinja2.ext import Extension, LoopControlExtension
from jinja2.sandbox import ImmutableSandboxedEnvironment

S, U, A, T = "system", "user", "assistant", "tool"
TALKS = [
    [(U, "Hello")],
    [(S, "Be kind."), (U, "Hello")],
    [(U, "Hello"), (A, "Hi!")],
    [(U, "Hello"), (A, "Hi!"), (U, "How are you?")],
    [(S, "Be kind."), (U, "Hello"), (A, "Hi!"), (U, "How are you?")],
    [(S, "Be kind."), (U, "1"), (A, "2"), (U, "3"), (A, "4"), (U, "5"), (A, "6"), (U, "7")],
    [(U, "")],
    [(S, ""), (U, "a")],
    [(U, "a"), (A, ""), (U, "b")],
    [(U, "  leading, trailing \n\n"), (A, "\t x \u3000"), (U, "\u00a0y\u2003\u0085")],
    [(U, "<think>no</think> yes"), (A, "<think>\nmany\n\nthoughts\n</think>\n\nan answer\n"), (U, "again")],
    [(U, "a"), (A, "thoughts without begin</think>answer"), (U, "b"), (A, "<think>open")],
    [(A, "first word"), (U, "a")],
    [(U, "a"), (U, "b")],
    [(U, "a"), (S, "late"), (U, "b")],
    [(S, "only")],
    [],
    [(U, "a"), (A, "b"), (T, "result 1"), (T, "result 2"), (A, "c")],
    [(U, "<tool_response>x</tool_response>"), (A, "{{ x }} {% y %} <|im_end|> [INST]"), (U, "\u65e5\u672c\u8a9e \U0001f642")],
    [(S, " sys \n"), (U, "q"), (A, " a\n"), (U, "developer"), ("developer", "x"), ("ipython", "y")],
]


class Refused(Exception):
    pass


class Generation(Extension):
    """{% generation %}...{% endgeneration %} of transformers: what is inside, as it is."""
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        return jinja2.nodes.Scope(parser.parse_statements(["name:endgeneration"], drop_needle=True), lineno=line)


def refuse(message):
    raise Refused(message)


def cases():
    for talk in TALKS:
        for add in (False, True):
            yield {"messages": [{"role": r, "content": c} for r, c in talk], "add_generation_prompt": add}


def reference(text):
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[LoopControlExtension, Generation])
    env.globals["raise_exception"] = refuse
    env.filters["tojson"] = lambda x, **kw: json.dumps(x, ensure_ascii=False)
    template = env.from_string(text)
    for case in cases():
        try:
            yield template.render(bos_token="<s>", eos_token="</s>", **case)
        except (Refused, jinja2.exceptions.TemplateError, TypeError, IndexError, KeyError, ValueError, AttributeError):
            yield None


def main():
    tool, bad, known = sys.argv[1], 0, 0
    for path in sys.argv[2:]:
        name = path.rsplit("/", 1)[-1]
        run = subprocess.run([tool, "render", path], input=json.dumps(list(cases())).encode(), capture_output=True)
        said = run.stderr.decode().strip().replace(path, "").replace("sinter: error: ", "")
        print(f"{name}: {said}")
        if run.returncode:
            bad += run.returncode != 1
            continue
        known += 1
        ours = json.loads(run.stdout)
        differ = [x for x in zip(cases(), reference(open(path, encoding="utf-8").read()), ours) if x[1] != x[2]]
        bad += bool(differ)
        for case, want, have in differ[:2]:
            print("   ", json.dumps(case, ensure_ascii=False)[:300])
            print("    jinja2", repr(want)[:600])
            print("    ours  ", repr(have)[:600])
        if differ:
            print(f"    {len(differ)} of {2 * len(TALKS)} differ")
    print(f"{known} of {len(sys.argv) - 2} templates compile, {bad} render differently")
    return bad > 0


sys.exit(main())
