//! A Rust file, its comments and texts told apart from its code: a rule about code is not broken by prose.

use super::Offence;

/// One file.
pub struct Source {
    /// From the root of the repository, with `/`.
    pub path: String,
    pub text: String,
    /// The lines without comments, and with every text empty.
    pub code: Vec<String>,
    /// The texts (string literals), each with the line that it begins in.
    pub texts: Vec<(usize, String)>,
}

impl Source {
    pub fn read(path: &str, text: &str) -> Source {
        let mut reader = Reader { rest: text, line: 1, code: String::new(), texts: Vec::new() };
        while !reader.rest.is_empty() {
            reader.step();
        }
        let code = reader.code.lines().map(str::to_owned).collect();
        Source { path: path.to_owned(), text: text.to_owned(), code, texts: reader.texts }
    }

    /// The lines of code with their numbers.
    pub fn numbered(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code.iter().enumerate().map(|(index, line)| (index + 1, line.as_str()))
    }

    /// The lines whose code has `word`, whole where it ends in a letter.
    pub fn find(&self, word: &str) -> impl Iterator<Item = usize> {
        let is_letter = |letter: char| letter.is_alphanumeric() || letter == '_';
        self.numbered().filter_map(move |(number, line)| {
            let mut places = line.match_indices(word);
            let whole = |(start, _): (usize, &str)| {
                let (before, after) = (&line[..start], &line[start + word.len()..]);
                let begun = word.starts_with(is_letter) && before.ends_with(is_letter);
                let goes_on = word.ends_with(is_letter) && after.starts_with(is_letter);
                !begun && !goes_on
            };
            places.any(whole).then_some(number)
        })
    }

    pub fn offence(&self, line: usize, rule: &str, remedy: &str) -> Offence {
        Offence { file: self.path.clone(), line, rule: rule.to_owned(), remedy: remedy.to_owned() }
    }

    pub fn unless(&self, kept: bool, line: usize, rule: &str, remedy: &str) -> Vec<Offence> {
        if kept { Vec::new() } else { vec![self.offence(line, rule, remedy)] }
    }
}

struct Reader<'t> {
    rest: &'t str,
    line: usize,
    code: String,
    texts: Vec<(usize, String)>,
}

impl Reader<'_> {
    /// Reads one comment, one text, or one letter of code.
    fn step(&mut self) {
        if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.pass(end);
        } else if self.rest.starts_with("/*") {
            let end = self.rest.find("*/").map_or(self.rest.len(), |end| end + 2);
            self.pass(end);
        } else if let Some(hashes) = self.raw_text() {
            let close = format!("\"{}", "#".repeat(hashes));
            let begin = hashes + 2;
            let end = self.rest[begin..].find(&close).map_or(self.rest.len(), |end| begin + end);
            self.text(begin, end, close.len());
        } else if self.rest.starts_with('"') {
            let bytes = self.rest.as_bytes();
            let mut end = 1;
            while end < bytes.len() && bytes[end] != b'"' {
                end += if bytes[end] == b'\\' { 2 } else { 1 };
            }
            self.text(1, end.min(bytes.len()), 1);
        } else if let Some(length) = self.character() {
            self.pass(length);
        } else {
            let letter = self.rest.chars().next().unwrap_or('\n');
            if letter != '\n' {
                self.code.push(letter);
            }
            self.pass(letter.len_utf8());
        }
    }

    /// Leaves `length` bytes behind; their line ends stay in the code, so that its lines keep their numbers.
    fn pass(&mut self, length: usize) {
        let length = length.min(self.rest.len());
        for _ in self.rest[..length].matches('\n') {
            self.code.push('\n');
            self.line += 1;
        }
        self.rest = &self.rest[length..];
    }

    fn text(&mut self, begin: usize, end: usize, close: usize) {
        self.texts.push((self.line, self.rest[begin..end].to_owned()));
        self.code.push_str("\"\"");
        self.pass(end + close);
    }

    /// The number of `#` when a raw text begins here.
    fn raw_text(&self) -> Option<usize> {
        let in_a_word = self.code.ends_with(|letter: char| letter.is_alphanumeric() && letter != 'b');
        let after = self.rest.strip_prefix('r').filter(|_| !in_a_word)?;
        let hashes = after.len() - after.trim_start_matches('#').len();
        after[hashes..].starts_with('"').then_some(hashes)
    }

    /// The length of a character literal that begins here; a lifetime is none.
    fn character(&self) -> Option<usize> {
        let inside = self.rest.strip_prefix('\'')?;
        if let Some(escaped) = inside.strip_prefix('\\') {
            let letter = escaped.chars().next()?.len_utf8();
            return escaped[letter..].find('\'').map(|end| 1 + 1 + letter + end + 1);
        }
        let letter = inside.chars().next()?.len_utf8();
        inside[letter..].starts_with('\'').then_some(1 + letter + 1)
    }
}

#[test]
fn comments_and_texts_are_told_from_code() {
    let text = "//! One \"a\".\nlet a = \"x // \\\" y\"; // two\n/* three\n'\"' */ let b = ('\"', '\\'', b'\\\\', r#\"r \"q\" \"#);\nfn f<'a>(a: &'a str) {}\n";
    let source = Source::read("a.rs", text);
    let code: Vec<&str> = source.code.iter().map(|line| line.trim()).collect();
    assert_eq!(code, ["", "let a = \"\";", "", "let b = (, , b, \"\");", "fn f<'a>(a: &'a str) {}"]);
    assert_eq!(source.texts, [(2, "x // \\\" y".to_owned()), (4, "r \"q\" ".to_owned())]);
}
