//! What the mail says that carries a quote, in the customer's language.

use chrono::NaiveDate;

/// The words around a quote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub subject: String,
    pub text: String,
    /// Name of the attached file.
    pub attachment: String,
}

/// What the words are about.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// ISO 639-1; a language we do not write is answered in English.
    pub language: &'a str,
    /// Of the mail answered.
    pub subject: &'a str,
    pub number: &'a str,
    pub valid_until: NaiveDate,
    pub sender: &'a str,
}

/// Writes the reply.
pub fn write(about: &About<'_>) -> Reply {
    let words = words(about.language);
    let date = about.valid_until.format(words.date);
    let fill = |text: &str| text.replace("{number}", about.number).replace("{date}", &date.to_string());
    Reply {
        subject: answering(about.subject, &fill(words.subject)),
        text: format!("{}\n\n{}\n\n{}\n{}\n", words.greeting, fill(words.body), words.closing, about.sender.trim()),
        attachment: file_name(&fill(words.subject)),
    }
}

/// "Re:" once, whatever the mail's own program calls it; threads break on any other change of the subject.
fn answering(subject: &str, fallback: &str) -> String {
    let mut rest = subject.trim();
    while let Some((prefix, after)) = rest.split_once(':')
        && ["re", "aw", "antw", "sv", "odp", "rv", "res"].contains(&prefix.trim().to_lowercase().as_str())
    {
        rest = after.trim_start();
    }
    format!("Re: {}", if rest.is_empty() { fallback } else { rest })
}

fn file_name(title: &str) -> String {
    let clean: String = title.chars().map(|c| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect();
    format!("{}.pdf", clean.trim_matches('-'))
}

struct Words {
    subject: &'static str,
    greeting: &'static str,
    body: &'static str,
    closing: &'static str,
    /// `strftime` form of a date.
    date: &'static str,
}

fn words(language: &str) -> Words {
    match language {
        "de" => Words {
            subject: "Angebot {number}",
            greeting: "Guten Tag,",
            body: "vielen Dank für Ihre Anfrage. Unser Angebot {number} finden Sie im Anhang; es gilt bis zum {date}.\n\
                   Wenn Sie Fragen haben, antworten Sie einfach auf diese E-Mail.",
            closing: "Mit freundlichen Grüßen",
            date: "%d.%m.%Y",
        },
        "fr" => Words {
            subject: "Devis {number}",
            greeting: "Bonjour,",
            body: "Merci pour votre demande. Vous trouverez ci-joint notre devis {number}, valable jusqu'au {date}.\n\
                   Pour toute question, il vous suffit de répondre à cet e-mail.",
            closing: "Cordialement",
            date: "%d/%m/%Y",
        },
        "es" => Words {
            subject: "Presupuesto {number}",
            greeting: "Buenos días:",
            body: "Gracias por su solicitud. Le adjuntamos nuestro presupuesto {number}, válido hasta el {date}.\n\
                   Si tiene alguna pregunta, responda simplemente a este correo.",
            closing: "Un cordial saludo",
            date: "%d/%m/%Y",
        },
        "it" => Words {
            subject: "Preventivo {number}",
            greeting: "Buongiorno,",
            body: "grazie per la sua richiesta. In allegato trova il nostro preventivo {number}, valido fino al {date}.\n\
                   Per qualsiasi domanda può rispondere a questa e-mail.",
            closing: "Cordiali saluti",
            date: "%d/%m/%Y",
        },
        "nl" => Words {
            subject: "Offerte {number}",
            greeting: "Goedendag,",
            body: "hartelijk dank voor uw aanvraag. In de bijlage vindt u onze offerte {number}; deze is geldig tot en met {date}.\n\
                   Heeft u vragen, dan kunt u gewoon op deze e-mail antwoorden.",
            closing: "Met vriendelijke groet",
            date: "%d-%m-%Y",
        },
        _ => Words {
            subject: "Quote {number}",
            greeting: "Hello,",
            body: "Thank you for your request. Please find our quote {number} attached; it is valid until {date}.\n\
                   If you have any questions, simply reply to this e-mail.",
            closing: "Kind regards",
            date: "%-d %B %Y",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{About, write};

    fn about<'a>(language: &'a str, subject: &'a str) -> About<'a> {
        let valid_until = chrono::NaiveDate::from_ymd_opt(2026, 12, 1).unwrap();
        About { language, subject, number: "LSD-00007", valid_until, sender: "Lindner" }
    }

    #[test]
    fn the_reply_speaks_the_customers_language_and_keeps_the_subject() {
        let german = write(&about("de", "AW: Re: Anfrage Schilder"));
        assert_eq!(german.subject, "Re: Anfrage Schilder");
        assert!(german.text.contains("Angebot LSD-00007") && german.text.contains("bis zum 01.12.2026"));
        assert_eq!(german.attachment, "Angebot-LSD-00007.pdf");
        let english = write(&about("xx", "  "));
        assert_eq!(english.subject, "Re: Quote LSD-00007");
        assert!(english.text.contains("valid until 1 December 2026"));
        for language in ["de", "en", "fr", "es", "it", "nl"] {
            let reply = write(&about(language, "x"));
            assert!(reply.text.contains("LSD-00007") && reply.text.contains("2026") && !reply.text.contains('{'));
        }
    }
}
