//! The face of Microsoft's downloader script over the engine: its settings, tree, log and exit codes.
