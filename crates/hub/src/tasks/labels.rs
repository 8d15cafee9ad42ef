//! The closed lists of a task, from the words of files and graphs to those of rows and back.
//!
//! The two crates know nothing of each other, so each has its own types. Every pair is matched without
//! a catch-all: a word that only one side knows does not compile.

use alkhub_storage::enums as rows;
use alkhub_taskgraph as files;

/// A label that a row spells the same way.
pub(super) trait ToRow {
    /// The label's type in a row.
    type Row;
    /// The same word.
    fn to_row(self) -> Self::Row;
}

/// A label that a file and a graph spell the same way.
pub(super) trait ToFile {
    /// The label's type in a file.
    type File;
    /// The same word.
    fn to_file(self) -> Self::File;
}

macro_rules! same_words {
    ($($name:ident { $($word:ident),+ })+) => {$(
        impl ToRow for files::$name {
            type Row = rows::$name;
            fn to_row(self) -> rows::$name {
                match self { $(Self::$word => rows::$name::$word,)+ }
            }
        }

        impl ToFile for rows::$name {
            type File = files::$name;
            fn to_file(self) -> files::$name {
                match self { $(Self::$word => files::$name::$word,)+ }
            }
        }
    )+};
}

same_words! {
    TaskStatus { Pending, InProgress, Completed, Failed, Blocked }
    TaskScope { Single, Narrow, Moderate, Broad, System }
    TaskRisk { Trivial, Low, Medium, High, Critical }
    TaskImpact { Isolated, Component, Phase, Project }
    TaskLevel { Planning, Decomposition, Implementation, Review, Research }
    TaskPriority { Low, Medium, High, Critical }
}
