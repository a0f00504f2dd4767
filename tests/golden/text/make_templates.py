#!/usr/bin/env python3
"""Writes template_cases.json: chat templates rendered by Hugging Face transformers itself.

The templates in templates/ were written for this test. They use the constructs and the turn formats that the families
they are named after publish in their model cards; none is a copy of a vendor's file.

    pip install transformers==4.55.4 jinja2==3.1.6 && python3 make_templates.py
"""
import datetime
import json
import os
import pathlib
import time

os.environ["TZ"] = "UTC"
time.tzset()
import jinja2  # noqa: E402
import transformers  # noqa: E402
from transformers.utils import chat_template_utils  # noqa: E402

HERE = pathlib.Path(__file__).parent
NOW = 1753617600  # 2025-07-27 12:00:00 UTC

SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}
USER = {"role": "user", "content": "  What's the weather in Zürich? 🌦️\n"}
SYSTEM = {"role": "system", "content": "You are terse.\n\nUse <b>tools</b> & \"quotes\"."}
ANSWER = {"role": "assistant", "content": "<think>\nhm\n</think>\n\nSunny, 21 °C. "}
AGAIN = {"role": "user", "content": "And 東京?"}
CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [
        {
            "id": "abcdefghi",
            "type": "function",
            "function": {"name": "weather", "arguments": {"city": "東京", "units": "C", "days": [1, 2.5, None, True]}},
        }
    ],
}
RESULT = {"role": "tool", "name": "weather", "tool_call_id": "abcdefghi", "content": "{\"sky\": \"cloudy\"}"}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "get the weather <now>",
            "parameters": {
                "type": "object",
                "properties": {
                    "units": {"type": "string", "enum": ["C", "F"], "description": "Unit's name"},
                    "city": {"type": "string", "description": "The city"},
                    "days": {"type": "array", "items": {"type": "integer"}},
                    "extra": {"type": ["string", "null"]},
                    "map": {"type": "object", "additionalProperties": {"type": "number"}, "properties": {}},
                },
                "required": ["city"],
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "add",
            "description": "ADD two numbers.",
            "parameters": {
                "type": "object",
                "properties": {"a": {"type": "number"}, "b": {"type": "number"}},
                "required": ["a", "b"],
            },
        },
    },
]
PARTS = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": " what is this? "}]}]

CONVERSATIONS = {
    "user": {"messages": [USER], "add_generation_prompt": True},
    "turns": {"messages": [USER, ANSWER, AGAIN], "add_generation_prompt": True},
    "system": {"messages": [SYSTEM, USER, ANSWER, AGAIN], "add_generation_prompt": True},
    "closed": {"messages": [SYSTEM, USER, ANSWER]},
    "tools": {"messages": [SYSTEM, USER], "tools": TOOLS, "add_generation_prompt": True},
    "called": {"messages": [USER, CALL, RESULT], "tools": TOOLS, "add_generation_prompt": True},
    "called_twice": {"messages": [USER, CALL, RESULT, RESULT, ANSWER, AGAIN, CALL, RESULT]},
    "parts": {"messages": PARTS, "add_generation_prompt": True},
    "wrong_order": {"messages": [USER, AGAIN]},
    "thinking_off": {"messages": [USER], "add_generation_prompt": True, "enable_thinking": False},
    "documents": {
        "messages": [USER, {"role": "note", "content": "skipped"}, AGAIN, {"role": "user", "content": "STOP"}, USER],
        "documents": [{"title": "on weather", "text": "It rains\nin the mountains of the north."}, {"text": "short"}],
        "controls": {"z": 1, "length": "short", "a": [1.5, "é\u0001"]},
        "add_generation_prompt": True,
    },
}

# MiniJinja's `~` writes lists, booleans and none its own way ([{"a": true}]), which no template should meet.
# MiniJinja 2.24 also fails on [::-1] of an empty text or list; no template here does that.
KNOWN_DIFFERENCES = {"chatml/parts"}

# Small constructs, each as (template, context).
SNIPPETS = [
    ("{{ x|tojson }}", {"x": {"b": 1, "a": "<é'\"\\\n\u0007\u007f>", "f": [1.0, 1e20, 1e-7, 0.1, 123456789012345680000.0]}}),
    ("{{ x|tojson(indent=2) }}", {"x": {"a": [], "b": {}, "c": [1, {"d": None}]}}),
    ("{{ x|tojson(ensure_ascii=true) }}", {"x": "é🌦\u007f"}),
    ("{{ x|tojson(true, 1, [';', '='], true) }}", {"x": {"b": "é", "a": 1}}),
    ("{{ x|tojson(sort_keys=true) }}", {"x": {"b": 1, "a": 2}}),
    ("{{ x }}|{{ x|string }}|{{ [x]|join }}", {"x": [None, True, 1.5, "a'b", "a\"b'", {"k": "v\n"}]}),
    ("{{ x.a }}|{{ x.missing }}|{{ missing }}|{{ missing is defined }}|{{ x.missing or 'no' }}", {"x": {"a": None}}),
    ("{{ x|length }} {{ missing|length }} {{ x|first }} {{ x|last }} {{ x[1:] }} {{ x[:-1] }} {{ x[::-1] }} {{ x[::2] }}",
     {"x": [1, 2, 3, 4]}),
    ("{% for k, v in x.items() %}{{ k }}={{ v }};{% endfor %}{{ x.keys()|list }}{{ x.values()|list }}{{ x.get('q', 5) }}"
     "{{ x.get('nope') }}", {"x": {"z": 1, "items": 2, "a": 3}}),
    ("{% for a in [1,2,3,4,5] %}{% if a == 2 %}{% continue %}{% endif %}{% if a == 4 %}{% break %}{% endif %}{{ a }}"
     "{% endfor %}", {}),
    ("{% for a in x recursive %}{{ a.n }}{% if a.c %}({{ loop(a.c) }}){% endif %}{% endfor %}",
     {"x": [{"n": 1, "c": [{"n": 2, "c": []}]}, {"n": 3, "c": []}]}),
    ("{% set ns = namespace(found=false, n=0) %}{% for a in x %}{% if a > 2 %}{% set ns.found = true %}{% endif %}"
     "{% set ns.n = ns.n + a %}{% endfor %}{{ ns.found }} {{ ns.n }}", {"x": [1, 2, 3]}),
    ("{% macro f(a, b='d') %}[{{ a }}{{ b }}{{ caller() if caller else '' }}]{% endmacro %}{{ f(1) }}{{ f(1, b=2) }}"
     "{% call f(3) %}in{% endcall %}", {}),
    ("{% set x %}  block {{ 1 + 1 }} {% endset %}[{{ x }}]{% filter upper %}up{% endfilter %}", {}),
    ("  {% if true %}\n  yes\n  {% endif %}\n  {{- 'a' -}}  \n  b\n{# note #}\n  c\n", {}),
    ("{%- if a is string %}s{% elif a is mapping %}m{% elif a is iterable %}i{% elif a is none %}n{% elif a is number %}"
     "#{% endif %}{{ a is sequence }}{{ a is integer }}{{ a is boolean }}{{ a is true }}", {"a": {"k": 1}}),
    ("{{ a is string }}{{ a is sequence }}{{ a is iterable }}{{ a is mapping }}", {"a": "text"}),
    ("{{ a is number }}{{ a is integer }}{{ a is float }}{{ 3 is odd }}{{ 4 is divisibleby 2 }}{{ a == 1 }}", {"a": True}),
    ("{{ 'abc'.upper() }}{{ 'ABC'.lower() }}{{ 'a b'.title() }}{{ 'abc'.capitalize() }}{{ 'xaxx'.strip('x') }}"
     "{{ 'abab'.replace('a', 'c') }}{{ 'abab'.replace('a', 'c', 1) }}{{ 'abc'.startswith('a') }}{{ 'abc'.endswith(('b', 'c')) }}"
     "{{ 'a b c'.split(' ', 1) }}{{ 'abc'.find('c') }}{{ 'abcb'.count('b') }}{{ 'a\\nb'.splitlines() }}{{ '12'.isdigit() }}"
     "{{ ', '.join(['a', 'b']) }}{{ 'prefix-x'.removeprefix('prefix-') }}{{ 'x.py'.removesuffix('.py') }}"
     "{{ 'a=b=c'.partition('=')|list }}{{ '7'.zfill(3) }}{{ '[' + 'ab'.center(5) + ']' }}{{ 'ab'.rjust(4, '.') }}", {}),
    ("{{ x|map('upper')|join(',') }} {{ x|select('ne', 'a')|list }} {{ x|reject('equalto', 'a')|list }} "
     "{{ x|unique|list }} {{ x|sort|first }} {{ x|batch(2)|list }}", {"x": ["b", "a", "b"]}),
    ("{{ x|map(attribute='n')|list }} {{ x|selectattr('n', '>', 1)|map(attribute='n')|sum }} {{ x|rejectattr('z', 'defined')"
     "|list|length }} {{ x|sum(attribute='n') }} {% for g in x|groupby('n') %}{{ g.grouper }}{{ g.list|length }}{% endfor %}",
     {"x": [{"n": 1}, {"n": 2, "z": 0}, {"n": 2}]}),
    ("{{ 'a\\nb\\n\\nc\\n'|indent }}|{{ 'a\\nb'|indent(2, true) }}|{{ 'a\\n\\nb'|indent(width=1, blank=true) }}", {}),
    ("{{ '42'|int + 1 }} {{ 'x'|int }} {{ 'x'|int(7) }} {{ '2.7'|int }} {{ '1.5'|float }} {{ 7.0|int }} {{ 'ff'|int(0, 16) }}", {}),
    ("{{ none|default('d') }} {{ missing|default('d') }} {{ ''|default('d', true) }} {{ ''|default('d', boolean=true) }} "
     "{{ ''|default('d', boolean=false) }}|", {}),
    ("{{ 'x' ~ 1 ~ 'y' }} {{ 'ab' * 3 }} {{ [1] + [2] }} {{ 1 if false }} {{ not 1 }} {{ 1 == 1.0 }} {{ 'a' in 'cat' }} "
     "{{ 1 not in [1] }} {{ 10 / 4 }} {{ 10 / 5 }} {{ 7 % 3 }} {{ -7 // 2 }} {{ 2 ** 3 }} {{ 1 < 2 < 3 }}", {}),
    ("{{ range(3)|list }} {{ range(1, 7, 2)|list }} {{ dict(a=1, b='x') }} {{ (1, 2)|list }} {% set a, b = [1, 2] %}{{ b }}", {}),
    ("{% for i in range(3) %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.first }}{{ loop.last }}"
     "{{ loop.cycle('o', 'e') }}{{ loop.depth }}{% else %}none{% endfor %}{% for i in [] %}{% else %}empty{% endfor %}", {}),
    ("{{ strftime_now('%Y-%m-%d %H:%M:%S %j %A %d %B %y %b %p %%') }}", {}),
    ("{{ '\\u2581\\t\\x41\\'\\\\ \\d' }}{{ \"it's\" }}{{ 'a' \n 'b' }}", {}),
    ("{% raw %}{{ not }} {% generation %}{% endraw %}", {}),
    ("{{ {'a': 1}|dictsort|first|last }} {{ ({'b': 1, 'a': 2}|dictsort(by='value')|last)[0] }} {{ {'a': 1}|items|list|length }}"
     "{{ [1, 2]|min }} {{ [1, 2]|max }}", {}),
    ("{{ 1234.5678|round(1) }} {{ 3.7|round|int }} {{ -3|abs }} {{ 3.2|round(0, 'ceil') }} {{ 'a b c'|wordcount }} "
     "{{ 'abc'|reverse }} {{ '[' ~ 'x'|center(5) ~ ']' }} {{ ' x '|trim }} {{ 'xxax'|trim('x') }} {{ '<a>'|e }} {{ '<a>' }}", {}),
    ("{{ messages }}{{ tools }}{{ documents }}{{ add_generation_prompt }}", {}),
    ("a\r\nb{% if true %}\r\nc{% endif %}\r\n", {}),
    ("{{ x.y.z }}", {"x": {}}),
    ("{{ raise_exception('no: ' ~ x) }}", {"x": 3}),
    ("{{ 1 + }}", {}),
    ("{% for %}", {}),
    ("{{ x.append(1) }}", {"x": []}),
    ("{{ x.update({}) }}", {"x": {}}),
    ("{{ missing + 1 }}", {}),
    ("{{ missing()|list }}", {}),
    ("{{ x|nosuchfilter }}", {"x": 1}),
]


class FixedNow(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).replace(tzinfo=None)


chat_template_utils.datetime = FixedNow


def render(template, context):
    """As PreTrainedTokenizerBase.apply_chat_template does for one conversation."""
    context = json.loads(json.dumps(context))  # what a request has: JSON
    context.setdefault("messages", [])
    context.setdefault("tools", None)
    context.setdefault("documents", None)
    context.setdefault("add_generation_prompt", False)
    compiled = chat_template_utils._compile_jinja_template(template)
    return compiled.render(**{**SPECIAL, **context})


def case(name, template, context, template_file=None):
    entry = {"name": name, "context": context}
    entry["file" if template_file else "template"] = template_file or template
    try:
        entry["expected"] = render(template, context)
    except jinja2.exceptions.TemplateSyntaxError as error:
        entry["error"] = "syntax"
        entry["line"] = error.lineno
    except jinja2.exceptions.TemplateError as error:
        entry["error"] = str(error)
    except (TypeError, RecursionError) as error:
        entry["error"] = str(error)
    return entry


def main():
    cases = []
    for path in sorted((HERE / "templates").glob("*.jinja")):
        for name, context in CONVERSATIONS.items():
            if f"{path.stem}/{name}" in KNOWN_DIFFERENCES:
                continue
            entry = case(f"{path.stem}/{name}", path.read_text(), context, path.name)
            cases.append(entry)
    for i, (template, context) in enumerate(SNIPPETS):
        cases.append(case(f"snippet/{i}", template, context))
    out = {
        "generator": "make_templates.py",
        "versions": {"transformers": transformers.__version__, "jinja2": jinja2.__version__},
        "now": NOW,
        "special_tokens": SPECIAL,
        "cases": cases,
    }
    (HERE / "template_cases.json").write_text(json.dumps(out, ensure_ascii=False, indent=1) + "\n")
    print(len(cases), "cases,", sum("error" in c for c in cases), "of them errors")


main()
