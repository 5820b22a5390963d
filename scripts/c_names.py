"""The names that a C file keeps to itself, told apart from all others.

    names = private_names(tokens)
    text = rename(tokens, names, "jobs")

Not a parser of C: it reads files like ours, formatted by clang-format, without
K&R functions, where what is not static is in a header.
"""
import re

# What every file may see, and nobody else's names begin with.
OURS = re.compile(r"(luaopen_)?pop3_|POP3_|compat_")

# Macros that a system header looks for.
FEATURES = {"_GNU_SOURCE", "_FILE_OFFSET_BITS"}


class Unclear(Exception):
    """The file has to be written differently."""


# ---- Tokens ------------------------------------------------------------------

TOKEN = re.compile(r"""
    (?P<comment> /\*.*?\*/ | //[^\n]* )
  | (?P<string>  "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' )
  | (?P<newline> \n )
  | (?P<blank>   (?: [ \t\f] | \\\n )+ )
  | (?P<name>    [A-Za-z_]\w* )
  | (?P<number>  \.?\d (?: [eEpP][+-] | [\w.] )* )
  | (?P<mark>    \#\# | \.\.\. | -> | . )
""", re.X | re.S)


class Token:
    def __init__(self, kind, text, directive):
        self.kind, self.text, self.directive = kind, text, directive
        self.literal = False

    def __repr__(self):
        return self.text


def tokenize(text):
    """All of the text; `directive` is the word behind # on such lines."""
    tokens, directive, fresh = [], None, True
    for found in TOKEN.finditer(text):
        kind = found.lastgroup
        if kind == "newline":
            directive, fresh = None, True
        elif fresh and found.group() == "#":
            directive = re.match(r"#\s*(\w*)", text[found.start():]).group(1)
        if kind not in ("newline", "blank", "comment"):
            fresh = False
        tokens.append(Token(kind, found.group(), directive))
    return tokens


def significant(tokens):
    return [t for t in tokens if t.kind in ("name", "number", "string", "mark")]


# ---- What a file keeps to itself ---------------------------------------------

OPENING, CLOSING = "([{", ")]}"


def end_of_group(tokens, start):
    """Where the bracket closes that opens at `start`."""
    depth = 0
    for at in range(start, len(tokens)):
        if tokens[at].text in OPENING:
            depth += 1
        elif tokens[at].text in CLOSING:
            depth -= 1
            if depth == 0:
                return at
    raise Unclear("a bracket does not close")


def declarations(tokens):
    """Top-level ones, without the bodies of functions."""
    current, at = [], 0
    while at < len(tokens):
        token = tokens[at]
        if token.text == ";":
            yield current
            current = []
        elif token.text in OPENING:
            end = end_of_group(tokens, at)
            if token.text == "{" and current and current[-1].text == ")":
                yield current
                current = []
            else:
                current += tokens[at:end + 1]
            at = end
        else:
            current.append(token)
        at += 1


def enumerators(body):
    """Names behind { and , at the top of an enum's body."""
    depth, fresh = 0, True
    for token, following in zip(body, body[1:] + [None]):
        called = following is not None and following.text == "("
        if fresh and token.kind == "name" and not called:
            yield token.text
        depth += (token.text in OPENING) - (token.text in CLOSING)
        fresh = depth == 0 and token.text == ","


def without_bodies(declaration, names):
    """The declaration less its {...}; tags and enumerators go to `names`."""
    rest, at, initial = [], 0, False
    while at < len(declaration):
        token = declaration[at]
        initial = initial or token.text == "="
        if token.text == "{" and not initial:
            end = end_of_group(declaration, at)
            words = [t.text for t in declaration[max(at - 2, 0):at]]
            if words[-1:] and words[-1] in ("struct", "union", "enum"):
                rest.pop()  # it has no tag
            elif len(words) > 1 and words[0] in ("struct", "union", "enum"):
                names.add(words[1])
            if "enum" in words:
                names.update(enumerators(declaration[at + 1:end]))
            at = end
        else:
            rest.append(token)
        at += 1
    return rest


def declarators(tokens):
    """The names that a declaration without bodies declares."""
    at, fresh = 0, True
    while at < len(tokens):
        token = tokens[at]
        following, behind = ([t.text for t in tokens[at + 1:at + 3]]
                             + [";", ";"])[:2]
        pointer = following == "(" and behind == "*"
        if token.text == "__attribute__":
            at = end_of_group(tokens, at + 1)
        elif fresh and token.text == "(":  # (*name)(...)
            end = end_of_group(tokens, at)
            inner = [t.text for t in tokens[at:end] if t.kind == "name"]
            yield inner[-1]
            at, fresh = end, False
        elif (fresh and token.kind == "name" and following in "([=,;"
              and not pointer):
            if tokens[at - 1].text not in ("struct", "union", "enum"):
                yield token.text
                fresh = False
            if following == "(" and not fresh:
                return
        elif token.text in OPENING:
            at = end_of_group(tokens, at)
        elif token.text == ",":
            fresh = True
        at += 1


def declared_names(tokens):
    """The file's own names, and those that it says are others' (extern)."""
    own, others = set(), set()
    code = [t for t in significant(tokens) if t.directive is None]
    for declaration in declarations(code):
        rest = without_bodies(declaration, own)
        words = [t.text for t in rest]
        for word, names in (("static", own), ("typedef", own),
                            ("extern", others)):
            if word in words:
                names.update(declarators(rest[words.index(word) + 1:]))
    return own, others


def macro_names(tokens):
    """Macros, but those that stand in for one that the system may have."""
    names, spared = set(), set()
    for directive, body in directives(tokens):
        if directive == "define":
            names.add(body[0].text)
        elif directive in ("if", "ifndef", "elif"):
            words = [t.text for t in body]
            spared.update(w for at, w in enumerate(words)
                          if directive == "ifndef" or "!" in words[:at])
    return names - spared


def directives(tokens):
    """Each directive's word and what follows it."""
    line = []
    for token in tokens + [Token("newline", "\n", None)]:
        if token.kind == "newline":
            words = significant(line)
            if words and words[0].text == "#" and len(words) > 1:
                yield words[1].text, words[2:]
            line = []
        else:
            line.append(token)


def pasted_prefixes(tokens):
    """X of each X##parameter: the macro makes names that begin so."""
    words = significant(tokens)
    return {words[at - 1].text for at, t in enumerate(words)
            if t.text == "##" and words[at - 1].kind == "name"}


def split_arguments(words):
    """At the commas that are in no inner bracket."""
    arguments, depth = [[]], 0
    for token in words:
        depth += (token.text in OPENING) - (token.text in CLOSING)
        if token.text == "," and depth == 0:
            arguments.append([])
        else:
            arguments[-1].append(token)
    return arguments


def parameter_uses(body):
    """Of a #define's words: for each parameter, is it made a string or a part
    of a name, and is it anything else?"""
    if len(body) < 2 or body[1].text != "(":
        return []
    end = end_of_group(body, 1)
    texts = [""] + [t.text for t in body[end + 1:]] + [""]
    uses = []
    for part in split_arguments(body[2:end]):
        places = [at for at, text in enumerate(texts)
                  if part and text == part[0].text]
        literal = [at for at in places if texts[at - 1] in ("#", "##")
                   or texts[at + 1] == "##"]
        uses.append((bool(literal), len(places) > len(literal)))
    return uses


def literal_arguments(tokens):
    """The names that a macro is given to make strings or other names of, and
    whether it may do something else with them, too; X, of lists of rows, may."""
    macros = {body[0].text: parameter_uses(body)
              for directive, body in directives(tokens)
              if directive == "define"}
    words = significant(tokens)
    for at, token in enumerate(words[:-1]):
        if words[at + 1].text != "(" or token.text not in {"X", *macros}:
            continue
        inner = words[at + 2:end_of_group(words, at + 1)]
        uses = macros.get(token.text, [])
        for place, part in enumerate(split_arguments(inner)):
            literal, other = (uses + [(token.text == "X", True)] * (place + 1)
                              )[place]
            if literal:
                yield from ((t, other) for t in part if t.kind == "name")


def private_names(tokens):
    """What gets a prefix. Marks what only looks like it as literal."""
    own, others = declared_names(tokens)
    names = (own | macro_names(tokens)) - others
    prefixes = {p for p in pasted_prefixes(tokens) if not OURS.match(p)}
    for token in tokens:
        if token.kind == "name" and any(token.text.startswith(p)
                                        for p in prefixes):
            names.add(token.text)
    names = {name for name in names if not OURS.match(name)} - FEATURES
    for token, other in literal_arguments(tokens):
        if token.text in names and other:
            raise Unclear(f"{token.text}: a private name, and an argument of a "
                          "macro that makes a string or a name of it")
        token.literal = True
    return names


# ---- Renaming ----------------------------------------------------------------


class Surroundings:
    """Tells members from other names, while the tokens of a file go by."""

    def __init__(self):
        self.groups = []  # of each open bracket: "members", "offsetof" or ""
        self.before = [None, None, None]  # the last words, the newest first

    def is_member(self):
        group = self.groups[-1] if self.groups else ""
        return self.before[0] in (".", "->") or group == "members" or (
            group == "offsetof" and self.before[0] == ",")

    def pass_by(self, token):
        if token.text in OPENING:
            self.groups.append(self.kind_of_group(token))
        elif token.text in CLOSING and self.groups:
            self.groups.pop()
        self.before = [token.text] + self.before[:2]

    def kind_of_group(self, token):
        aggregate = "struct" in self.before[:2] or "union" in self.before[:2]
        if token.text == "{" and aggregate:
            return "members"
        if token.text == "(" and self.before[0] == "offsetof":
            return "offsetof"
        return ""


def is_declarator(tokens, at):
    """Inside a struct: is this the member's name, and not its type's?"""
    following = next((t.text for t in tokens[at + 1:]
                      if t.kind in ("name", "mark")), ";")
    return following in ";,[:)"


def rename(tokens, names, stem):
    around = Surroundings()
    for at, token in enumerate(tokens):
        if token.kind == "name" and token.text in names:
            member = around.is_member()
            if member and around.before[0] not in (".", "->", ","):
                member = is_declarator(tokens, at)
            if not (member or token.literal or token.directive == "pragma"):
                around.pass_by(token)
                token.text = f"{stem}_{token.text}"
                continue
        if token.kind in ("name", "number", "string", "mark"):
            around.pass_by(token)
    return "".join(t.text for t in tokens)
