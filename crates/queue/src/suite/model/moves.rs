//! Moves as data.

/// One move: what, and three numbers that say how.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Move(pub(super) [u8; 4]);

/// What a move does.
pub(super) enum What {
    Commit,
    CommitAgain,
    Submit,
    Seal,
    DropDraft,
    Clock,
    Claim,
    Settle,
    Follow,
    Release,
    Extend,
    Act,
    Gate,
    Pages,
    Reopen,
}

impl Move {
    pub(super) fn what(self) -> What {
        match self.0[0] % 40 {
            0..4 => What::Commit,
            4 => What::CommitAgain,
            5 => What::Submit,
            6 => What::Seal,
            7 => What::DropDraft,
            8..13 => What::Clock,
            13..20 => What::Claim,
            20..27 => What::Settle,
            27 => What::Follow,
            28..30 => What::Release,
            30 => What::Extend,
            31..36 => What::Act,
            36 => What::Gate,
            37..39 => What::Pages,
            _ => What::Reopen,
        }
    }

    /// What the move is, in a word.
    pub(super) fn told(self) -> &'static str {
        match self.what() {
            What::Commit => "commits",
            What::CommitAgain => "commits an id again",
            What::Submit => "commits with a key",
            What::Seal => "seals",
            What::DropDraft => "drops a draft",
            What::Clock => "moves the clock",
            What::Claim => "claims",
            What::Settle => "settles",
            What::Follow => "settles with what follows",
            What::Release => "releases",
            What::Extend => "extends",
            What::Act => "acts",
            What::Gate => "sets a gate",
            What::Pages => "lists in pages",
            What::Reopen => "reopens",
        }
    }
}
