"""The rules of coroutines under GCC 12 that its compiler neither keeps nor reports, for programs that use Troupe.

  troupe tidy FILE…     (in Troupe's own tree: tools/dev/tidy, for every file)

Prints one line `file:line: [rule] what is wrong` for each finding; exit 1 if there is any, 2 if a file cannot be read.
A finding that is right for a reason is allowed by a comment on its line or the line above:
  // tidy: allow RULE, because …
Reads C++ by its brackets and words, not by its types: what only a type shows is refused by the API (await_safe).
"""

import re
import sys


class findings:
    def __init__(self):
        self.lines = []

    def add(self, path, line, rule, text):
        self.lines.append((path, line, rule, text))


def blank_comments_and_texts(source):
    """The same length and lines, with comments, literals and preprocessor lines blanked."""
    pattern = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^(\s]*)\(.*?\)(?P=d)"|"(?:\\.|[^"\\\n])*"|(?<![\w])\'(?:\\.|[^\'\\\n])+\''
        r'|^[ \t]*#(?:\\\n|[^\n])*', re.S | re.M)

    def blank(match):
        text = match.group(0)
        filler = re.sub(r"[^\n]", " ", text)
        return '""' + filler[2:] if text[0] in '"R' and len(text) > 1 else filler

    return pattern.sub(blank, source)


OPENERS = {"(": ")", "[": "]", "{": "}"}
CLOSERS = {closer: opener for opener, closer in OPENERS.items()}


def pair_brackets(code):
    pairs, stack = {}, []
    for at, char in enumerate(code):
        if char in OPENERS:
            stack.append(at)
        elif char in CLOSERS:
            if stack and code[stack[-1]] == CLOSERS[char]:
                opener = stack.pop()
                pairs[opener], pairs[at] = at, opener
    return pairs


def is_block(code, pairs, brace):
    """True when this { opens statements, false when it opens a braced list of initializers."""
    before = code[:brace].rstrip()
    if not before or before[-1] in ");{}:":
        return True
    if re.search(r"\b(else|do|try|mutable|noexcept|const|override|final)$", before):
        return True
    if before[-1] in "(,=[?" or re.search(r"\b(return|co_return|co_yield|co_await)$", before):
        return False
    inside, at = code[brace + 1:pairs.get(brace, len(code))], 0
    while at < len(inside):  # a statement of its own ends by ; or is a keyword's
        if inside[at] in OPENERS:
            at = pairs.get(brace + 1 + at, brace + 1 + at) - brace
            continue
        if inside[at] == ";":
            return True
        at += 1
    if re.match(r"\s*(if|for|while|switch|try|return|co_return|co_await)\b", inside):
        return True
    statement = re.split(r"[;{}]", before)[-1]
    return bool(re.match(r"\s*(inline\s+)?(namespace|struct|class|enum|union|extern|template|export)\b", statement)
                or re.search(r"\)\s*(mutable|const|noexcept|&|\s)*->[^;{}]*$", before))


def full_statement(code, pairs, at):
    """Start and end of the full expression or statement around `at`, conditions included, nested blocks not left."""
    start = at
    while start > 0:
        char = code[start - 1]
        if char == ";" or (char == "}" and is_block(code, pairs, pairs.get(start - 1, 0))):
            opener = enclosing(code, pairs, start - 1)
            if opener is None or code[opener] != "(":
                break
            start = opener  # inside for (…; …): go on with the loop itself
            continue
        if char in CLOSERS:
            start = pairs.get(start - 1, start - 1)
            continue
        if char == "{" and is_block(code, pairs, start - 1):
            break
        start -= 1
    end = at
    while end < len(code):
        char = code[end]
        if char in OPENERS:
            if char == "{" and is_block(code, pairs, end) and not lambda_body(code, pairs, end):
                break
            end = pairs.get(end, end) + 1
            continue
        if char == "}" and is_block(code, pairs, pairs.get(end, 0)):
            break
        if char == ";" and (enclosing(code, pairs, end) is None or code[enclosing(code, pairs, end)] != "("):
            break
        end += 1
    return start, end


def enclosing(code, pairs, at):
    """The bracket that is open at `at`, or None."""
    at -= 1
    while at >= 0:
        if code[at] in CLOSERS:
            at = pairs.get(at, at) - 1
            continue
        if code[at] in OPENERS:
            return at
        at -= 1
    return None


LAMBDA = re.compile(r"(?<![\w\])])\s*\[(?P<captures>[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*)\]\s*(?=[({<]|mutable\b|->)")


def lambda_body(code, pairs, brace):
    before = code[:brace].rstrip()
    before = re.sub(r"(\s*(mutable|noexcept|constexpr|const))*$", "", before)
    arrow = re.search(r"->[^;{}]*$", before)
    if arrow:
        before = re.sub(r"(\s*(mutable|noexcept|constexpr))*$", "", before[:arrow.start()].rstrip())
    if before.endswith(")"):
        before = code[:pairs.get(len(before) - 1, 0)].rstrip()
    if not before.endswith("]"):
        return False
    opener = pairs.get(len(before) - 1)
    return opener is not None and not re.search(r"[\w\])]$", code[:opener].rstrip().removesuffix("return"))


def without_lambda_bodies(code, pairs, start, end):
    text, at = [], start
    while at < end:
        if code[at] == "{" and lambda_body(code, pairs, at):
            close = min(pairs.get(at, at), end)
            text.append("{" + re.sub(r"[^\n]", " ", code[at + 1:close]) + "}")
            at = close + 1
            continue
        text.append(code[at])
        at += 1
    return "".join(text)[:end - start]


def split_list(text):
    items, depth, item = [], 0, ""
    for char in text:
        depth += (char in "([{<") - (char in ")]}>")
        if char == "," and depth == 0:
            items.append(item)
            item = ""
        else:
            item += char
    return [one.strip() for one in items + [item] if one.strip()]


def captures_by_value(captures):
    return [item for item in split_list(captures) if not item.startswith("&") and item not in ("this",)]


CONTAINERS = r"(?:vector|deque|list|map|set|multimap|multiset|unordered_\w+|array|initializer_list)"


def check_coroutines(path, source, out):
    if "co_await" not in source and "co_return" not in source:
        return
    code = blank_comments_and_texts(source)
    pairs = pair_brackets(code)

    def line_of(at):
        return code.count("\n", 0, at) + 1

    seen = set()
    for found in re.finditer(r"\bco_await\b", code):
        start, end = full_statement(code, pairs, found.start())
        if (start, end) in seen:
            continue
        seen.add((start, end))
        statement = without_lambda_bodies(code, pairs, start, end)
        if "co_await" in statement:
            check_await(path, code, pairs, start, statement, line_of, out)
    check_parameters(path, code, pairs, line_of, out)
    check_called_lambdas(path, code, pairs, line_of, out)


def check_await(path, code, pairs, start, statement, line_of, out):
    for found in LAMBDA.finditer(statement):
        owned = captures_by_value(found.group("captures"))
        if owned:
            out.add(path, line_of(start + found.start("captures")), "await-lambda",
                    f"a lambda that captures by value ({', '.join(owned)}) inside an await expression is destroyed "
                    "twice by GCC 12: name it first")
    for found in re.finditer(r"(?P<before>[(,]\s*|\b(?:std::)?%s\s*(?:<[^;{}()]*>)?\s*)\{(?!\s*\})" % CONTAINERS,
                             statement):
        if not is_block(code, pairs, start + found.end() - 1) or found.group("before")[0] not in "(,":
            out.add(path, line_of(start + found.end() - 1), "await-list",
                    "a braced list inside an await expression does not compile or is destroyed twice by GCC 12: "
                    "name it first")
    head = re.match(r"\s*(?:else\s+)?(if|while|for)\b(?:\s+constexpr)?\s*(?=\()", statement)
    if head:
        close = pairs.get(start + head.end())
        if close is not None and re.search(r"\bco_await\b", statement[head.end():close - start]):
            if re.match(r"\s*(;|\{\s*\})", code[close + 1:]):
                out.add(path, line_of(start + head.start(1)), "await-empty-body",
                        f"an empty body after `{head.group(1)} (… co_await …)` crashes with GCC 12: use `for (;;)`")
    bound = re.search(r"\bauto\s*(?:const\s*)?&{0,2}\s*\[[^\]]*\]\s*[=({]\s*[(\s]*co_await\b", statement)
    if bound:
        out.add(path, line_of(start + bound.start()), "await-binding",
                "a structured binding directly on co_await breaks on later compilers: bind a name, then take it apart")


def check_parameters(path, code, pairs, line_of, out):
    """CP.53: parameters of a coroutine are values, but for process&."""
    for found in re.finditer(r"\btask\s*<", code):
        at, depth = found.end(), 1
        while at < len(code) and depth:
            depth += (code[at] == "<") - (code[at] == ">" and code[at - 1] != "-")
            at += 1
        declared = re.match(r"\s+[\w:~]+(?:<[^;{}()]*>)?\s*(?=\()", code[at:])
        if declared:
            opener = at + declared.end()
            brace = re.match(r"\s*(?:const|noexcept|override|final|&|\s)*(?=\{)", code[pairs.get(opener, opener) + 1:])
            body = pairs.get(opener, opener) + 1 + brace.end() if brace else None
        else:  # a lambda's return type: [captures](parameters) … -> task<…> {
            arrow = re.search(r"\)\s*(?:mutable\s*|noexcept\s*)*->\s*(?:troupe::)?$", code[:found.start()])
            brace = re.match(r"\s*(?=\{)", code[at:])
            if not arrow or not brace:
                continue
            opener, body = pairs.get(arrow.start(), arrow.start()), at + brace.end()
        if body is None or body not in pairs or "co_" not in code[body:pairs[body]]:
            continue
        for parameter in split_list(code[opener + 1:pairs[opener]]):
            plain = re.sub(r"<[^<>]*>|=.*", "", re.sub(r"<[^<>]*>", "", parameter))
            if "&" in plain and not re.match(r"(?:troupe::)?process\s*&(?!&)", parameter):
                out.add(path, line_of(opener), "coroutine-reference",
                        f"`{' '.join(parameter.split())}`: a coroutine takes values (only process& outlives its frame)")


def check_called_lambdas(path, code, pairs, line_of, out):
    """CP.51: the captures of a lambda that is called where it stands die before its coroutine does."""
    for found in LAMBDA.finditer(code):
        if not found.group("captures").strip():
            continue
        brace = code.find("{", found.end())
        if brace < 0 or not lambda_body(code, pairs, brace) or brace not in pairs:
            continue
        body = code[brace:pairs[brace]]
        if "co_" in without_lambda_bodies(body, pair_brackets(body), 1, len(body)) \
                and re.match(r"\s*\(", code[pairs[brace] + 1:]):
            out.add(path, line_of(found.start("captures")), "coroutine-lambda",
                    "a capturing lambda coroutine called where it stands loses its captures at its first wait")


ALLOW = re.compile(r"tidy: allow ([\w-]+), \S")


def allowed(lines, number, rule):
    around = lines[max(0, number - 2):number]
    return any(match.group(1) == rule for text in around for match in ALLOW.finditer(text))


def main(paths):
    out, unreadable = [], 0
    for path in paths:
        try:
            with open(path, encoding="utf-8") as stream:
                source = stream.read()
        except (OSError, UnicodeDecodeError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) else "is not UTF-8"
            print(f"troupe tidy: {path}: {reason}", file=sys.stderr)
            unreadable += 1
            continue
        found, lines = findings(), source.splitlines()
        check_coroutines(path, source, found)
        out += [one for one in sorted(found.lines) if not allowed(lines, one[1], one[2])]
    for path, line, rule, text in out:
        print(f"{path}:{line}: [{rule}] {text}")
    return 2 if unreadable else 1 if out else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
