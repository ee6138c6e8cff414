//! SPDX licence expressions.

/// Whether an expression can be met with licences out of a list: `MIT OR Apache-2.0`, `(A OR B) AND C`,
/// `Apache-2.0 WITH LLVM-exception`, and the old `MIT/Apache-2.0`.
pub(crate) fn is_met(expression: &str, allowed: &[String]) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { tokens: &tokens, allowed };
    parser.any() == Some(true) && parser.tokens.is_empty()
}

struct Parser<'a> {
    tokens: &'a [&'a str],
    allowed: &'a [String],
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&'a str> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first)
    }

    fn took(&mut self, word: &str) -> bool {
        let is = self.tokens.first() == Some(&word);
        if is {
            self.next();
        }
        is
    }

    fn any(&mut self) -> Option<bool> {
        let mut met = self.all()?;
        while self.took("OR") {
            met |= self.all()?;
        }
        Some(met)
    }

    fn all(&mut self) -> Option<bool> {
        let mut met = self.one()?;
        while self.took("AND") {
            met &= self.one()?;
        }
        Some(met)
    }

    fn one(&mut self) -> Option<bool> {
        let licence = self.next()?;
        if licence == "(" {
            let met = self.any()?;
            return self.took(")").then_some(met);
        }
        let exact = |name: &str| self.allowed.iter().any(|one| one == name);
        let bare = exact(licence);
        if self.tokens.first() == Some(&"WITH") {
            let whole = format!("{licence} WITH {}", self.tokens.get(1)?);
            let met = bare || exact(&whole);
            self.next();
            self.next();
            return Some(met);
        }
        Some(bare)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let allowed = ["MIT".to_owned(), "ISC".to_owned(), "Apache-2.0 WITH LLVM-exception".to_owned()];
        for (expression, met) in [
            ("MIT", true),
            ("MIT OR GPL-3.0", true),
            ("GPL-3.0/MIT", true),
            ("MIT AND GPL-3.0", false),
            ("ISC AND (GPL-3.0 OR MIT)", true),
            ("(ISC AND GPL-3.0) OR MIT", true),
            ("Apache-2.0 WITH LLVM-exception", true),
            ("Apache-2.0", false),
            ("MIT OR", false),
            ("(MIT", false),
            ("MIT ISC", false),
            ("", false),
        ] {
            assert_eq!(is_met(expression, &allowed), met, "{expression}");
        }
    }
}
