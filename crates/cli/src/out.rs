//! Stdout, as far as it is there.

use std::io::{self, BufWriter, ErrorKind, Write};

use serde::Serialize;

use crate::failure::Failure;
use crate::show;

/// Where facts go. A reader that went away (`| head`) is no failure: what follows is dropped, and the command goes
/// on to its own end.
pub(crate) struct Out {
    inner: Box<dyn Write + Send>,
    closed: bool,
}

impl Out {
    pub(crate) fn stdout() -> Self {
        Self::to(BufWriter::new(io::stdout()))
    }

    pub(crate) fn to(inner: impl Write + Send + 'static) -> Self {
        Self { inner: Box::new(inner), closed: false }
    }

    /// A line for people; control characters are escaped.
    pub(crate) fn line(&mut self, text: impl AsRef<str>) -> Result<(), Failure> {
        let mut line = show::clean(text.as_ref());
        line.push('\n');
        self.write(line.as_bytes())
    }

    /// A text of our own making, as it is.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.write(text.as_bytes())
    }

    /// A value as one line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let mut line = serde_json::to_vec(value).map_err(|error| Failure::new("cannot write JSON", &error))?;
        line.push(b'\n');
        self.write(&line)
    }

    /// Hands on what was written so far.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        if self.closed {
            return Ok(());
        }
        let flushed = self.inner.flush();
        self.judge(flushed)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if self.closed {
            return Ok(());
        }
        let written = self.inner.write_all(bytes);
        self.judge(written)
    }

    fn judge(&mut self, result: io::Result<()>) -> Result<(), Failure> {
        match result {
            Ok(()) => Ok(()),
            Err(error) => {
                self.closed = true;
                if error.kind() == ErrorKind::BrokenPipe {
                    return Ok(());
                }
                Err(Failure::new("cannot write the report", &error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Broken(ErrorKind);

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure_p05() {
        let mut out = Out::to(Broken(ErrorKind::BrokenPipe));
        assert!(out.line("a").is_ok() && out.json(&1).is_ok() && out.flush().is_ok());
    }

    #[test]
    fn a_full_disk_is_a_failure_told_once_s05() {
        let mut out = Out::to(Broken(ErrorKind::StorageFull));
        assert!(out.line("a").is_err());
        assert!(out.line("b").is_ok() && out.flush().is_ok());
    }
}
