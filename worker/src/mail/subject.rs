//! What mail programs put before the subject of an answer, or of a mail that they pass on: each in its user's language.

/// Of answers: English and French, German, Dutch, the Nordic languages, Polish, Spanish, Portuguese, Italian.
const ANSWERS: &[&str] = &["re", "aw", "antw", "sv", "vs", "odp", "rv", "res", "r"];
/// Of mails that are passed on.
const FORWARDS: &[&str] = &["fw", "fwd", "wg", "doorst", "vb", "pd", "tr", "enc", "i"];

/// The subject that is answered.
pub(crate) fn answered(subject: &str) -> &str {
    without(subject, &[ANSWERS])
}

/// The subject that its sender has written.
pub(crate) fn written(subject: &str) -> &str {
    without(subject, &[ANSWERS, FORWARDS])
}

fn without<'a>(subject: &'a str, marks: &[&[&str]]) -> &'a str {
    let mut rest = subject.trim();
    while let Some((mark, after)) = rest.split_once(':')
        && marks.iter().any(|marks| marks.contains(&mark.trim().to_lowercase().as_str()))
    {
        rest = after.trim_start();
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_any_language_are_taken_off_however_many_there_are() {
        for subject in ["Schilder: Anfrage", " AW: Re:Schilder: Anfrage", "Odp: SV : RES: R: Schilder: Anfrage"] {
            assert_eq!(answered(subject), "Schilder: Anfrage");
        }
        assert_eq!(answered("WG: Schilder"), "WG: Schilder", "what was passed on was not answered");
        for subject in ["WG: AW: Schilder", "Fwd: I: schilder", "TR: Doorst: PD: Schilder"] {
            assert_eq!(written(subject).to_lowercase(), "schilder");
        }
        for subject in ["", "Re:", "Re: Fwd: "] {
            assert_eq!(written(subject), "");
        }
    }
}
