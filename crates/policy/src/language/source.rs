//! A text, its lines, and where something in it is.

/// A text without the mark that some editors put in front (U+FEFF).
pub(super) struct Source<'a> {
    pub(super) text: &'a str,
    /// The octet at which each line begins.
    starts: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    /// The lines, each with the octet at which it begins, without their ends.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &'a str)> {
        (0..self.starts.len()).map(|line| (self.starts[line], self.line(line)))
    }

    /// The line, counted from 0.
    fn line(&self, line: usize) -> &'a str {
        let end = self.starts.get(line + 1).map_or(self.text.len(), |next| next - 1);
        let text = &self.text[self.starts[line]..end];
        text.strip_suffix('\r').unwrap_or(text)
    }

    /// The number, counted from 1, of the line of an octet.
    pub(super) fn line_of(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at)
    }

    /// Line and column of an octet, both counted from 1, the column in characters, and the line.
    pub(super) fn place(&self, at: usize) -> (usize, usize, &'a str) {
        let line = self.line_of(at);
        let text = self.line(line - 1);
        let column = self.text[self.starts[line - 1]..at].chars().count() + 1;
        (line, column, text)
    }
}
