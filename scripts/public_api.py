"""The public headers as data: sections, groups of declarations, their comments.

One place reads include/sio/*.h for all who need it: the manual pages (make-man), the
rule that every call says what can fail (check-headers), the list of exported symbols.
The form it relies on is the one that CONTRIBUTING.md asks for: a head comment, section
comments "---- name ----", and above each group of declarations its comment, without a
blank line between them.
"""
import pathlib
import re


class Group:
    """Declarations under one comment."""

    def __init__(self, comment):
        self.comment = comment   # lines, without the comment's own marks
        self.items = []          # (kind, text, trailing comment, name)
        self.section = None

    def prototypes(self):
        return [item for item in self.items if item[0] == 'function']


class Header:
    def __init__(self, path):
        self.path = path
        self.name = path.stem
        self.title = ''
        self.head = []
        self.groups = []

    def functions(self):
        return [item[3] for group in self.groups for item in group.prototypes()]


def comment_lines(raw):
    lines = raw[2:-2].split('\n')
    lines = [lines[0].strip()] + [re.sub(r'^\s*\* ?', '', line).rstrip() for line in lines[1:]]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def read_declaration(text, at):
    """The end of the declaration that begins at: behind its ";", or its function body."""
    depth, has_body = 0, text.startswith('static inline', at)
    while at < len(text):
        if text.startswith('/*', at):
            at = text.index('*/', at) + 2
            continue
        c = text[at]
        at += 1
        if c in '({':
            depth += 1
        elif c in ')}':
            depth -= 1
            if c == '}' and depth == 0 and has_body:
                return at
        elif c == ';' and depth == 0:
            return at
    return at


def tokens(text):
    """(kind, text, has a blank line before it, stands on a line with something before it)"""
    at = 0
    while at < len(text):
        gap = re.compile(r'\s*').match(text, at)
        blank, fresh = gap.group().count('\n') > 1, '\n' in gap.group() or at == 0
        at = gap.end()
        if at == len(text):
            return
        if text.startswith('/*', at):
            end = text.index('*/', at) + 2
            kind = 'comment'
        elif text[at] == '#':
            end = at
            while True:
                end = text.index('\n', end) + 1
                if text[end - 2] != '\\':
                    break
            kind = 'directive'
        elif re.compile(r'SIO_(BEGIN|END)\b').match(text, at):
            end = at + re.compile(r'\w+').match(text, at).end() - at
            kind = 'mark'
        else:
            end = read_declaration(text, at)
            kind = 'declaration'
        yield kind, text[at:end].rstrip('\n'), blank, not fresh
        at = end if kind != 'directive' else end - 1


def classify(text):
    words = re.sub(r'/\*.*?\*/', ' ', text, flags=re.S)
    if words.startswith('SIO_API') or words.startswith('static inline'):
        if words.startswith('static inline'):
            words = words.split('{')[0].rstrip() + ';'
            text = words
        return 'function', text, re.search(r'(\w+)\s*\(', words.replace('SIO_API', '')).group(1)
    if re.match(r'(struct|enum)\s+\w+\s*;', words):
        return 'forward', text, words
    if words.startswith('typedef') and '{' not in words:
        return 'type', text, re.search(r'(\w+)\s*\(', words).group(1)
    named = re.search(r'(?:struct|enum)\s+(\w+)', words)
    return 'type', text, named.group(1) if named else ''


def take_head(header, lines):
    """"room.h -- named sets of sockets." and what follows, less the licence."""
    first = lines[0].split(' -- ', 1)
    header.title = first[1].rstrip('.') if len(first) == 2 else ''
    header.head = [line for line in lines[1:] if not re.match(r'(SPDX-License|Copyright )', line)]


def read_header(path):
    header, group, section, nested = Header(path), None, None, 0
    for kind, text, blank, trailing in tokens(path.read_text()):
        if kind == 'comment' and not header.title:
            take_head(header, comment_lines(text))
            continue
        if kind == 'comment' and trailing:
            if group and group.items:
                last = group.items[-1]
                group.items[-1] = (last[0], last[1], ' '.join(comment_lines(text)), last[3])
            continue
        if kind == 'comment':
            lines = comment_lines(text)
            heading = re.match(r'-{2,}\s*(.*?)\s*-*$', lines[0])
            if heading and len(lines) == 1:
                section, group = heading.group(1), None
                continue
            group = Group(lines)
            group.section = section
            header.groups.append(group)
            continue
        if kind == 'mark':
            continue
        if kind == 'directive':
            nested += bool(re.match(r'#\s*if', text)) - bool(re.match(r'#\s*endif', text))
            define = re.match(r'#\s*define\s+(\w+)', text)
            if nested > 1 or not define or define.group(1).endswith('_H') or define.group(1) == 'X':
                continue
            what = ('macro', text, '', define.group(1))
        else:
            what = classify(text)
            if what[0] == 'forward':
                continue
            what = (what[0], what[1], '', what[2])
        if group is None or (blank and group.items):
            group = Group([])
            group.section = section
            header.groups.append(group)
        group.items.append(what)
    header.groups = [g for g in header.groups if g.items]
    return header


def read_all(root):
    return [read_header(p) for p in sorted(pathlib.Path(root, 'include/sio').glob('*.h'))]


def complaints(header):
    """What a reader of the header would miss: which error can come out of which call."""
    says_default = 'cannot fail' in ' '.join(header.head)
    for group in header.groups:
        for _, text, trailing, name in group.prototypes():
            said = ' '.join(group.comment) + ' ' + trailing
            returns = re.sub(r'SIO_\w+|\bstatic inline\b', '', text.split(name)[0]).strip()
            if not said.strip():
                yield f'{header.path}: {name} has no comment'
            elif returns in ('int', 'long') and not re.search(r'SIO_ERR_|[Cc]annot fail', said):
                yield f'{header.path}: the comment of {name} names no SIO_ERR_* and does not say "Cannot fail"'
            elif not says_default and not re.search(r'SIO_ERR_|[Cc]annot fail', said):
                yield f'{header.path}: neither the comment of {name} nor the head of the file says what can fail'
