//! What disks, processes and clocks do.

use super::Row;

pub(super) const ROWS: &[Row] = &[
    Row::new("S01", "no space at the Nth write, once or for ever", "last good stays served; the next run converges"),
    Row::new("S02", "no space or quota when folders, names and flushes are made", "as S01"),
    Row::new("S03", "no inodes", "as S01"),
    Row::new(
        "S04",
        "a read error while a blob is served",
        "the connection ends, never a short 200; the blob is set aside and fetched again",
    ),
    Row::new(
        "S05",
        "an error on write or flush",
        "the file is given up; a descriptor is never flushed again after an error",
    ),
    Row::new("S06", "a flush that fails once", "the data are written again, not thought durable"),
    Row::new("S07", "short writes, interruptions, EAGAIN", "the same as without them")
        .but(
            "EAGAIN is not injected, as no file that is opened here gives it; an interruption of the catalog's files may \
             end a run with `catalog_failed`, and the next leads where it should have",
        ),
    Row::new("S09", "no descriptors left", "waits, serves again; no end, no spin"),
    Row::new(
        "S10",
        "no permission on the root, one folder, one blob; immutable files",
        "a reason, and the others are served",
    )
    .but(
        "owner, mode and the immutable flag are played by the errors that they give, EACCES and EPERM: no mode keeps out \
         root, whom these tests run as",
    ),
    Row::new("S11", "killed before each operation", "recovered, and the store is sound"),
    Row::new(
        "S12",
        "power cut: every prefix of the writes, and random unflushed subsets",
        "whole, and durable once acknowledged",
    )
    .but(
        "a sample of the prefixes on each file system, some 200 disks in *ci* and thousands in `--full`; that cuts can \
         find flushes left out is shown for all, and for those of downloads, catalog, rings and blobs alone",
    ),
    Row::new("S13", "the file system shut down at each step", "as S12")
        .but("at random moments: in 8 runs on each file system in *ci*, in 100 in `--full`"),
    Row::new("S14", "a second cut while the first is recovered from", "as S12").but(
        "on real file systems the second cut strikes the file system's own recovery; the engine's is cut in the simulation",
    ),
    Row::new("S15", "S12 on other file systems and modes", "as S12").but(
        "of ext4 without a journal no test demands anything: how many disks it leaves that are not whole is printed; \
         overlayfs is not played",
    ),
    Row::new("S16", "bits that rot in a stored blob", "found by `release verify`, not served, healed").but(
        "a blob above 1 MiB that changed while nobody served is served until its first reading is through, after a start",
    ),
    Row::new("S17", "a blob of another length, or of zeros", "as S16"),
    Row::new("S18", "deleted: a blob, all, pointers, generations, catalog, locks, everything", "told, and made again"),
    Row::new("S20", "symbolic links in place of anything of ours", "refused, never followed"),
    Row::new(
        "S22",
        "files that others may write or own",
        "refused at each level, told by `status`; a server keeps the generation that it has; any umask gives the same",
    ),
    Row::new("S23", "two runs at once", "one fetches; the other waits or ends `locked`"),
    Row::new("S25", "a collection while a blob is streamed", "the stream ends whole"),
    Row::new("S26", "a collection while a run is about to need an old blob", "never lost"),
    Row::new(
        "S27",
        "a collection killed at each removal, or with the clock ten years ahead",
        "what is served, pinned or in grace stays",
    ),
    Row::new("S28", "the clock thrown about", "nothing is deleted by it, nothing stale looks fresh")
        .but("each jump ahead that is not taken back may shorten a grace or a retention by a quarter, and no more"),
    Row::new(
        "S30",
        "a disk nearly full at the start",
        "no artifact is asked for; of an archive, whose size only its answer tells, no byte is kept",
    ),
    Row::new("S31", "a disk that fills while serving", "serving goes on; lost log lines are counted"),
    Row::new("S32", "nobody reads the log", "serving goes on"),
    Row::new("S33", "the temporary folder on another device", "cannot be: what is renamed lies in the data folder"),
    Row::new("S34", "a new program on an old layout, and the other way round", "moved on, or refused in exact words"),
    Row::new("S35", "killed at each step of that", "old or new"),
    Row::new(
        "S36",
        "a configuration cut, empty, with keys twice or unknown, wrong units",
        "refused with its line; a reload keeps the old one",
    ),
    Row::new("S37", "a million blobs, ten thousand releases", "starts soon, in bounded memory")
        .but("no test holds that many: only that they are read again in small parts"),
    Row::new("S38", "64 MiB of memory and an artifact of 2 GB", "streams; a server beside it lives"),
    Row::new("S39", "signals in each phase, stopped for a minute", "a clean and bounded end")
        .but("stopped for a moment only, and signals come while it fetches, serves or waits, not in each phase"),
    Row::new("S40", "a data folder from last week's backup", "noticed; the next run converges").but(
        "a backup that is sound in itself is noticed by a server that lived through it and by whoever kept the \
         history's head, not by `release verify --store`",
    ),
    Row::new("S41", "each byte of our own files flipped or cut", "closed or rebuilt, never a wrong pointer")
        .but("of the catalog each 997th byte is flipped, and it is cut at each 3271st"),
    Row::new("S42", "the folder renamed or unmounted under us", "a reason; nothing is written to the bare mount point"),
    Row::new("S43", "a slow disk", "serving keeps its pace").but("only flushes are slow, reading is not"),
    Row::new("S44", "random acts, runs, crashes and collections against a model", "equal to the model")
        .but(
            "600 steps of each store, not 10^6, and a crash there is a writer that is dropped; of the engine the \
             invariants are held after each act, not equality",
        ),
];
