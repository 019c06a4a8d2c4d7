//! What a reading's flag says, in two alphabets that share letters but not meanings: `Flag` travels with each reading
//! (HJ 212-2017 table 8), `Status` describes a minute or an hour (HJ 76-2017 App. B). The mapping between them is explicit.

/// The flag of one reading, a letter of HJ 212-2017 table 8; `Absent` is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Flag {
    /// `N`: the analyser measured and says that all is well.
    Normal,
    /// `F`: the instrument is switched off.
    InstrumentOff,
    /// `M`: maintenance.
    Maintenance,
    /// `S`: a value set by hand.
    SetByHand,
    /// `D`: the analyser reports a fault, or what it said cannot be a measurement.
    Fault,
    /// `C`: calibration.
    Calibration,
    /// `T`: above the measuring range.
    OverRange,
    /// `B`: no answer, or an answer that is not one.
    Communication,
    /// `-`: the record has no reading of this channel. Never travels; only in stored rows.
    Absent,
}

impl Flag {
    /// All flags that a record may carry.
    pub const ON_THE_WIRE: [Flag; 8] = [
        Flag::Normal,
        Flag::InstrumentOff,
        Flag::Maintenance,
        Flag::SetByHand,
        Flag::Fault,
        Flag::Calibration,
        Flag::OverRange,
        Flag::Communication,
    ];

    /// The letter of HJ 212-2017 table 8, or `-`.
    pub const fn letter(self) -> char {
        match self {
            Flag::Normal => 'N',
            Flag::InstrumentOff => 'F',
            Flag::Maintenance => 'M',
            Flag::SetByHand => 'S',
            Flag::Fault => 'D',
            Flag::Calibration => 'C',
            Flag::OverRange => 'T',
            Flag::Communication => 'B',
            Flag::Absent => '-',
        }
    }

    /// The flag of a letter, `None` for a letter that is none.
    pub const fn from_letter(letter: char) -> Option<Flag> {
        Some(match letter {
            'N' => Flag::Normal,
            'F' => Flag::InstrumentOff,
            'M' => Flag::Maintenance,
            'S' => Flag::SetByHand,
            'D' => Flag::Fault,
            'C' => Flag::Calibration,
            'T' => Flag::OverRange,
            'B' => Flag::Communication,
            '-' => Flag::Absent,
            _ => return None,
        })
    }
}

/// The status of a minute or a longer window (HJ 76-2017 App. B).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// `N`
    Normal,
    /// `F`: the source is stopped.
    SourceStopped,
    /// `St`
    StartUp,
    /// `Sd`
    ShutDown,
    /// `B`: banked fire.
    BankedFire,
    /// `C`
    Calibration,
    /// `M`
    Maintenance,
    /// `Md`: no data.
    NoData,
    /// `T`: above range.
    OverRange,
    /// `D`: fault.
    Fault,
}

impl Status {
    /// In the order of the table.
    pub const ALL: [Status; 10] = [
        Status::Normal,
        Status::SourceStopped,
        Status::StartUp,
        Status::ShutDown,
        Status::BankedFire,
        Status::Calibration,
        Status::Maintenance,
        Status::NoData,
        Status::OverRange,
        Status::Fault,
    ];

    /// Its place in [`Status::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The code as HJ 76-2017 prints it.
    pub const fn code(self) -> &'static str {
        match self {
            Status::Normal => "N",
            Status::SourceStopped => "F",
            Status::StartUp => "St",
            Status::ShutDown => "Sd",
            Status::BankedFire => "B",
            Status::Calibration => "C",
            Status::Maintenance => "M",
            Status::NoData => "Md",
            Status::OverRange => "T",
            Status::Fault => "D",
        }
    }

    /// One letter for storage in a row of many channels: the code, with `s`, `e` and `x` for `St`, `Sd` and `Md`.
    pub const fn letter(self) -> char {
        match self {
            Status::Normal => 'N',
            Status::SourceStopped => 'F',
            Status::StartUp => 's',
            Status::ShutDown => 'e',
            Status::BankedFire => 'B',
            Status::Calibration => 'C',
            Status::Maintenance => 'M',
            Status::NoData => 'x',
            Status::OverRange => 'T',
            Status::Fault => 'D',
        }
    }

    /// The reverse of [`Status::letter`].
    pub fn from_letter(letter: char) -> Option<Status> {
        Status::ALL.into_iter().find(|status| status.letter() == letter)
    }

    /// What one reading's flag means for the status of its window. HJ 212 `B` (communication) and `F` (instrument off)
    /// are *not* HJ 76 `B` (banked fire) and `F` (source stopped).
    pub const fn of_flag(flag: Flag) -> Status {
        match flag {
            Flag::Normal => Status::Normal,
            Flag::Maintenance | Flag::SetByHand => Status::Maintenance,
            Flag::Calibration => Status::Calibration,
            Flag::OverRange => Status::OverRange,
            Flag::Fault | Flag::InstrumentOff => Status::Fault,
            Flag::Communication | Flag::Absent => Status::NoData,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_go_there_and_back() {
        for flag in Flag::ON_THE_WIRE.into_iter().chain([Flag::Absent]) {
            assert_eq!(Flag::from_letter(flag.letter()), Some(flag));
        }
        for status in Status::ALL {
            assert_eq!(Status::from_letter(status.letter()), Some(status));
        }
        assert_eq!(Flag::from_letter('X'), None);
    }

    #[test]
    fn the_shared_letters_keep_their_own_meaning() {
        assert_eq!(Status::of_flag(Flag::Communication), Status::NoData);
        assert_eq!(Status::of_flag(Flag::InstrumentOff), Status::Fault);
    }
}
