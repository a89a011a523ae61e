//! A look at how the sectors of a compound file (XLS) follow each other, before calamine follows them: it would walk a circle
//! until memory ends.

use crate::error::ReadError;

/// Where the header names the first sectors of the table of sectors.
const FIRST_TABLE_SECTORS: std::ops::Range<usize> = 76..512;
const NO_SECTOR: u32 = 0xffff_fffa;

pub(crate) fn checked(content: &[u8]) -> Result<(), ReadError> {
    let broken = || ReadError::Broken("its sectors follow each other in a circle".to_owned());
    let size = match content.get(30..32) {
        Some([9, 0]) => 512,
        Some([12, 0]) => 4_096,
        _ => return Err(ReadError::Broken("its header is not that of a compound file".to_owned())),
    };
    let sectors = content.len() / size;
    let sector = |id: u32| {
        let start = (id as usize).saturating_add(1).saturating_mul(size);
        content.get(start..content.len().min(start.saturating_add(size))).unwrap_or_default()
    };
    let mut table_sectors = numbers(content.get(FIRST_TABLE_SECTORS).unwrap_or_default());
    let mut more = number(content, 68);
    for _ in 0..=sectors {
        if more >= NO_SECTOR {
            break;
        }
        table_sectors.extend(numbers(sector(more)));
        more = table_sectors.pop().unwrap_or(NO_SECTOR);
    }
    if more < NO_SECTOR {
        return Err(broken());
    }
    let mut next = Vec::new();
    for id in table_sectors.into_iter().filter(|id| *id < NO_SECTOR) {
        next.extend(numbers(sector(id)));
        // More than there are sectors: the same part of the table, again and again.
        if next.len() > (sectors + 1) * 2 + size {
            return Err(broken());
        }
    }
    if circles(&next) {
        return Err(broken());
    }
    let mut small = Vec::new();
    let mut at = number(content, 60);
    while at < NO_SECTOR {
        small.extend(numbers(sector(at)));
        let Some(following) = next.get(at as usize) else { break };
        at = *following;
    }
    if circles(&small) { Err(broken()) } else { Ok(()) }
}

/// Whether any way through the table comes back to where it was.
fn circles(next: &[u32]) -> bool {
    let mut passed = vec![0_usize; next.len()];
    for start in 0..next.len() {
        let mut at = start;
        while let Some(way) = passed.get_mut(at) {
            if *way == start + 1 {
                return true;
            }
            if *way != 0 {
                break;
            }
            *way = start + 1;
            at = next[at] as usize;
        }
    }
    false
}

fn numbers(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|four| number(four, 0)).collect()
}

fn number(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(u32::MAX, u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::{checked, circles};

    #[test]
    fn a_way_that_comes_back_is_seen() {
        assert!(!circles(&[1, 2, 0xffff_fffe, 0xffff_ffff, 2]));
        assert!(circles(&[1, 2, 0]));
        assert!(circles(&[3, 1, 0xffff_fffe, 4]));
        assert!(!circles(&[]));
    }

    #[test]
    fn a_sheet_whose_directory_is_a_circle_is_refused() {
        let mut sheet = include_bytes!("../../../tests/documents/13-old.xls").to_vec();
        assert_eq!(checked(&sheet), Ok(()));
        let at = |sheet: &[u8], place: usize| u32::from_le_bytes(sheet[place..place + 4].try_into().unwrap()) as usize;
        let (table, directory) = (at(&sheet, 76), at(&sheet, 48));
        let entry = (table + 1) * 512 + directory * 4;
        sheet[entry..entry + 4].copy_from_slice(&u32::try_from(directory).unwrap().to_le_bytes());
        assert!(checked(&sheet).is_err());
        assert!(matches!(crate::read(&sheet, "a.xls"), Err(crate::ReadError::Broken(_))));
    }
}
