//! Who was reached, as others may see it.

/// A recipient with its middle hidden: `138****1234`, `du***@example.cn`, `us***`.
pub fn masked(recipient: &str) -> String {
    let letters: Vec<char> = recipient.chars().collect();
    let part = |from: usize, to: usize| -> String {
        letters
            .iter()
            .skip(from)
            .take(to.saturating_sub(from))
            .filter(|letter| !letter.is_control())
            .collect()
    };
    let digits = letters.iter().filter(|letter| letter.is_ascii_digit()).count();
    if let Some(at) = letters.iter().rposition(|letter| *letter == '@').filter(|at| *at > 0) {
        return format!("{}***{}", part(0, 2.min(at / 2)), part(at, letters.len()));
    }
    if digits >= 7 && digits + 3 >= letters.len() {
        let shown = if letters.len() >= 10 { 3 } else { 1 };
        return format!("{}****{}", part(0, shown), part(letters.len() - shown - 1, letters.len()));
    }
    format!("{}***", part(0, 2.min(letters.len() / 2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_hidden() {
        for (recipient, shown) in [
            ("13800001234", "138****1234"),
            ("+8613800001234", "+86****1234"),
            ("5551234", "5****34"),
            ("duty@example.cn", "du***@example.cn"),
            ("a@example.cn", "***@example.cn"),
            ("user-4711", "us***"),
            ("x", "***"),
            ("", "***"),
            ("值班员", "值***"),
        ] {
            assert_eq!(masked(recipient), shown, "{recipient}");
        }
    }
}
