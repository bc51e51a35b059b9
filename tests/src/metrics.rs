//! Reading `/metrics`.
//!
//! Format: <https://prometheus.io/docs/instrumenting/exposition_formats/>

/// One scrape.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// The page as it came.
    pub text: String,
}

impl Metrics {
    /// The sum over the series called `name` whose labels include all of `labels`, each written `name="value"`.
    pub fn sum(&self, name: &str, labels: &[&str]) -> f64 {
        self.rows()
            .filter(|(row, _)| row.split('{').next() == Some(name))
            .filter(|(row, _)| labels.iter().all(|label| has_label(row, label)))
            .map(|(_, value)| value)
            .sum()
    }

    /// Whether there is a series of this name.
    pub fn has(&self, name: &str) -> bool {
        self.rows().any(|(row, _)| row.split('{').next() == Some(name))
    }

    /// Every series with its value; a line that is neither series nor comment fails the test.
    pub fn rows(&self) -> impl Iterator<Item = (&str, f64)> {
        self.text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| {
            let (row, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
            let value = value.parse().unwrap_or_else(|_| panic!("not a number: {line}"));
            (row, value)
        })
    }
}

fn has_label(row: &str, label: &str) -> bool {
    let inside = row.split_once('{').map_or("", |(_, rest)| rest.trim_end_matches('}'));
    format!(",{inside},").contains(&format!(",{label},"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_told_apart_whole() {
        let text = "# HELP a x\na{b=\"1\",bb=\"2\"} 3\na{b=\"11\"} 4\nab 5\n".to_owned();
        let metrics = Metrics { text };
        assert_eq!(metrics.sum("a", &["b=\"1\""]), 3.0);
        assert_eq!(metrics.sum("a", &[]), 7.0);
        assert_eq!(metrics.sum("ab", &[]), 5.0);
        assert!(!metrics.has("b"));
    }
}
