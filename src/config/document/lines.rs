//! In which line each value of a document stands.

use std::collections::BTreeMap;

/// Where lines end, so that the line of any of a hundred thousand values is looked up and not counted.
pub(super) struct LineEnds(Vec<usize>);

impl LineEnds {
    pub(super) fn of(text: &str) -> LineEnds {
        LineEnds(text.match_indices('\n').map(|(end, _)| end).collect())
    }

    /// From 1.
    fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }
}

pub(super) fn note_lines(
    ends: &LineEnds,
    path: &str,
    table: &toml::de::DeTable<'_>,
    lines: &mut BTreeMap<String, usize>,
) {
    for (key, value) in table {
        let path =
            if path.is_empty() { key.get_ref().to_string() } else { format!("{path}.{}", key.get_ref()) };
        lines.insert(path.clone(), ends.line(key.span().start));
        note_value(ends, &path, value, lines);
    }
}

fn note_value(
    ends: &LineEnds,
    path: &str,
    value: &toml::Spanned<toml::de::DeValue<'_>>,
    lines: &mut BTreeMap<String, usize>,
) {
    if let toml::de::DeValue::Table(table) = value.get_ref() {
        note_lines(ends, path, table, lines);
    } else if let toml::de::DeValue::Array(elements) = value.get_ref() {
        for (index, element) in elements.iter().enumerate() {
            let path = format!("{path}[{index}]");
            lines.insert(path.clone(), ends.line(element.span().start));
            note_value(ends, &path, element, lines);
        }
    }
}
