//! What the mail says that carries a quote, in the customer's language.

use chrono::NaiveDate;
use postrider_shared::language::{Language, date};

use crate::mail::subject;

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
    pub language: Language,
    /// Of the mail answered.
    pub subject: &'a str,
    pub number: &'a str,
    /// Whether the customer got an earlier one.
    pub is_revised: bool,
    pub valid_until: NaiveDate,
    pub sender: &'a str,
    /// The page where the customer decides.
    pub link: Option<&'a str>,
}

/// Writes the reply.
pub fn write(about: &About<'_>) -> Reply {
    let words = words(about.language);
    let date = date(about.valid_until, about.language).replace('\u{a0}', " ");
    let fill = |text: &str| text.replace("{number}", about.number).replace("{date}", &date);
    let link = about.link.map(|link| format!("{}\n{link}\n\n", words.link)).unwrap_or_default();
    Reply {
        subject: answering(about.subject, &fill(words.subject)),
        text: format!(
            "{}\n\n{}\n\n{link}{}\n{}\n",
            words.greeting,
            fill(&body(about, &words)),
            words.closing,
            about.sender.trim()
        ),
        attachment: file_name(words.file, about.number),
    }
}

/// Thanks for the request stand before the first quote only.
fn body(about: &About<'_>, words: &Words) -> String {
    match words.body.split_once('\n') {
        Some((_, rest)) if about.is_revised => format!("{}\n{rest}", revised(about.language)),
        _ => words.body.to_owned(),
    }
}

/// "Re:" once, whatever the mail's own program calls it; threads break on any other change of the subject.
fn answering(subject: &str, fallback: &str) -> String {
    let subject = subject::answered(subject);
    format!("Re: {}", if subject.is_empty() { fallback } else { subject })
}

/// In Latin letters in every language: not every mail program reads others in the name of a file.
fn file_name(word: &str, number: &str) -> String {
    let clean = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    format!("{word}-{}.pdf", number.chars().map(clean).collect::<String>().trim_matches('-'))
}

struct Words {
    subject: &'static str,
    /// The attachment's name begins with it.
    file: &'static str,
    greeting: &'static str,
    /// Its first line thanks for the request.
    body: &'static str,
    /// Followed by the address of the page.
    link: &'static str,
    closing: &'static str,
}

fn words(language: Language) -> Words {
    match language {
        Language::English => Words {
            subject: "Quote {number}",
            file: "Quote",
            greeting: "Hello,",
            body: "Thank you for your request. Please find our quote {number} attached; it is valid until {date}.\n\
                   If you have any questions, simply reply to this e-mail.",
            link: "You can accept or decline the quote here:",
            closing: "Kind regards",
        },
        Language::Hindi => Words {
            subject: "कोटेशन {number}",
            file: "Quotation",
            greeting: "नमस्कार,",
            body: "आपके अनुरोध के लिए धन्यवाद। हमारा कोटेशन {number} इस ई-मेल के साथ संलग्न है; यह {date} तक मान्य है।\n\
                   यदि आपका कोई प्रश्न हो, तो कृपया इसी ई-मेल का उत्तर दें।",
            link: "आप कोटेशन को यहाँ स्वीकार या अस्वीकार कर सकते हैं:",
            closing: "सादर",
        },
        Language::Kannada => Words {
            subject: "ದರಪಟ್ಟಿ {number}",
            file: "Quotation",
            greeting: "ನಮಸ್ಕಾರ,",
            body: "ನಿಮ್ಮ ಕೋರಿಕೆಗೆ ಧನ್ಯವಾದಗಳು. ನಮ್ಮ ದರಪಟ್ಟಿ {number} ಅನ್ನು ಇದರೊಂದಿಗೆ ಲಗತ್ತಿಸಲಾಗಿದೆ; ಇದು {date} ರವರೆಗೆ ಮಾನ್ಯವಾಗಿರುತ್ತದೆ.\n\
                   ನಿಮಗೆ ಯಾವುದೇ ಪ್ರಶ್ನೆಗಳಿದ್ದಲ್ಲಿ, ದಯವಿಟ್ಟು ಈ ಇಮೇಲ್‌ಗೆ ಉತ್ತರಿಸಿ.",
            link: "ದರಪಟ್ಟಿಯನ್ನು ಇಲ್ಲಿ ಸ್ವೀಕರಿಸಬಹುದು ಅಥವಾ ನಿರಾಕರಿಸಬಹುದು:",
            closing: "ವಂದನೆಗಳೊಂದಿಗೆ",
        },
        Language::Tamil => Words {
            subject: "விலைப்புள்ளி {number}",
            file: "Quotation",
            greeting: "வணக்கம்,",
            body: "உங்கள் கோரிக்கைக்கு நன்றி. எங்கள் விலைப்புள்ளி {number} இத்துடன் இணைக்கப்பட்டுள்ளது; இது {date} வரை செல்லுபடியாகும்.\n\
                   ஏதேனும் கேள்விகள் இருந்தால், இந்த மின்னஞ்சலுக்கே பதிலளிக்கவும்.",
            link: "விலைப்புள்ளியை இங்கே ஏற்கவோ மறுக்கவோ செய்யலாம்:",
            closing: "இப்படிக்கு,",
        },
        Language::Punjabi => Words {
            subject: "ਕੋਟੇਸ਼ਨ {number}",
            file: "Quotation",
            greeting: "ਨਮਸਕਾਰ,",
            body: "ਤੁਹਾਡੀ ਬੇਨਤੀ ਲਈ ਧੰਨਵਾਦ। ਸਾਡੀ ਕੋਟੇਸ਼ਨ {number} ਇਸ ਈਮੇਲ ਦੇ ਨਾਲ ਨੱਥੀ ਹੈ; ਇਹ {date} ਤੱਕ ਵੈਧ ਹੈ।\n\
                   ਜੇ ਤੁਹਾਡਾ ਕੋਈ ਸਵਾਲ ਹੋਵੇ, ਤਾਂ ਕਿਰਪਾ ਕਰਕੇ ਇਸੇ ਈਮੇਲ ਦਾ ਜਵਾਬ ਦਿਓ।",
            link: "ਤੁਸੀਂ ਕੋਟੇਸ਼ਨ ਇੱਥੇ ਸਵੀਕਾਰ ਜਾਂ ਅਸਵੀਕਾਰ ਕਰ ਸਕਦੇ ਹੋ:",
            closing: "ਆਦਰ ਸਹਿਤ",
        },
        Language::German => Words {
            subject: "Angebot {number}",
            file: "Angebot",
            greeting: "Guten Tag,",
            body: "vielen Dank für Ihre Anfrage. Unser Angebot {number} finden Sie im Anhang; es gilt bis zum {date}.\n\
                   Wenn Sie Fragen haben, antworten Sie einfach auf diese E-Mail.",
            link: "Hier können Sie das Angebot annehmen oder ablehnen:",
            closing: "Mit freundlichen Grüßen",
        },
        Language::French => Words {
            subject: "Devis {number}",
            file: "Devis",
            greeting: "Bonjour,",
            body: "Merci pour votre demande. Vous trouverez ci-joint notre devis {number}, valable jusqu'au {date}.\n\
                   Pour toute question, il vous suffit de répondre à cet e-mail.",
            link: "Vous pouvez accepter ou refuser le devis ici :",
            closing: "Cordialement",
        },
        Language::Spanish => Words {
            subject: "Presupuesto {number}",
            file: "Presupuesto",
            greeting: "Buenos días:",
            body: "Gracias por su solicitud. Le adjuntamos nuestro presupuesto {number}, válido hasta el {date}.\n\
                   Si tiene alguna pregunta, responda simplemente a este correo.",
            link: "Puede aceptar o rechazar el presupuesto aquí:",
            closing: "Un cordial saludo",
        },
        Language::Italian => Words {
            subject: "Preventivo {number}",
            file: "Preventivo",
            greeting: "Buongiorno,",
            body: "grazie per la sua richiesta. In allegato trova il nostro preventivo {number}, valido fino al {date}.\n\
                   Per qualsiasi domanda può rispondere a questa e-mail.",
            link: "Può accettare o rifiutare il preventivo qui:",
            closing: "Cordiali saluti",
        },
        Language::Dutch => Words {
            subject: "Offerte {number}",
            file: "Offerte",
            greeting: "Goedendag,",
            body: "hartelijk dank voor uw aanvraag. In de bijlage vindt u onze offerte {number}; deze is geldig tot en met {date}.\n\
                   Heeft u vragen, dan kunt u gewoon op deze e-mail antwoorden.",
            link: "U kunt de offerte hier accepteren of afwijzen:",
            closing: "Met vriendelijke groet",
        },
    }
}

/// What stands for the first line of the body if the customer got a quote before.
fn revised(language: Language) -> &'static str {
    match language {
        Language::English => {
            "Please find our revised quote {number} attached; it replaces the earlier one and is valid until {date}."
        }
        Language::Hindi => {
            "हमारा संशोधित कोटेशन {number} इस ई-मेल के साथ संलग्न है; यह पिछले कोटेशन का स्थान लेता है और {date} तक मान्य है।"
        }
        Language::Kannada => {
            "ನಮ್ಮ ಪರಿಷ್ಕೃತ ದರಪಟ್ಟಿ {number} ಅನ್ನು ಇದರೊಂದಿಗೆ ಲಗತ್ತಿಸಲಾಗಿದೆ; ಇದು ಹಿಂದಿನ ದರಪಟ್ಟಿಗೆ ಬದಲಾಗಿದ್ದು, {date} ರವರೆಗೆ ಮಾನ್ಯವಾಗಿರುತ್ತದೆ."
        }
        Language::Tamil => {
            "எங்கள் திருத்தப்பட்ட விலைப்புள்ளி {number} இத்துடன் இணைக்கப்பட்டுள்ளது; இது முந்தைய விலைப்புள்ளிக்குப் பதிலானது, {date} வரை செல்லுபடியாகும்."
        }
        Language::Punjabi => {
            "ਸਾਡੀ ਸੋਧੀ ਹੋਈ ਕੋਟੇਸ਼ਨ {number} ਇਸ ਈਮੇਲ ਦੇ ਨਾਲ ਨੱਥੀ ਹੈ; ਇਹ ਪਿਛਲੀ ਕੋਟੇਸ਼ਨ ਦੀ ਥਾਂ ਲੈਂਦੀ ਹੈ ਅਤੇ {date} ਤੱਕ ਵੈਧ ਹੈ।"
        }
        Language::German => {
            "unser geändertes Angebot {number} finden Sie im Anhang; es ersetzt das vorige und gilt bis zum {date}."
        }
        Language::French => {
            "Vous trouverez ci-joint notre devis modifié {number} ; il remplace le précédent et est valable jusqu'au {date}."
        }
        Language::Spanish => {
            "Le adjuntamos nuestro presupuesto modificado {number}; sustituye al anterior y es válido hasta el {date}."
        }
        Language::Italian => {
            "in allegato trova il nostro preventivo aggiornato {number}; sostituisce il precedente ed è valido fino al {date}."
        }
        Language::Dutch => {
            "in de bijlage vindt u onze gewijzigde offerte {number}; deze vervangt de vorige en is geldig tot en met {date}."
        }
    }
}

#[cfg(test)]
mod tests {
    use postrider_shared::language::Language;

    use super::{About, write};

    fn about(language: Language, subject: &str) -> About<'_> {
        let valid_until = chrono::NaiveDate::from_ymd_opt(2026, 12, 1).unwrap();
        About {
            language,
            subject,
            number: "LSD-00007",
            is_revised: false,
            valid_until,
            sender: "Lindner",
            link: Some("https://q.example/q/1"),
        }
    }

    #[test]
    fn the_reply_speaks_the_customers_language_and_keeps_the_subject() {
        let german = write(&about(Language::German, "AW: Re: Anfrage Schilder"));
        assert_eq!(german.subject, "Re: Anfrage Schilder");
        assert!(german.text.contains("Angebot LSD-00007") && german.text.contains("bis zum 1. Dezember 2026"));
        assert_eq!(german.attachment, "Angebot-LSD-00007.pdf");
        let english = write(&about(Language::English, "  "));
        assert_eq!(english.subject, "Re: Quote LSD-00007");
        assert!(english.text.contains("valid until 1 December 2026"));
        for language in Language::ALL {
            let reply = write(&about(language, "Re: x"));
            assert_eq!(reply.subject, "Re: x");
            assert!(reply.text.contains(":\nhttps://q.example/q/1\n\n"));
            assert!(reply.text.contains("LSD-00007") && reply.text.contains("2026") && !reply.text.contains('{'));
            let again = write(&About { is_revised: true, ..about(language, "Re: x") }).text;
            assert!(
                again != reply.text && again.contains("LSD-00007") && again.contains("2026") && !again.contains('{')
            );
            assert_eq!(again.lines().nth(3), reply.text.lines().nth(3), "the rest stays");
            assert!(reply.attachment.is_ascii() && reply.attachment.ends_with("-LSD-00007.pdf"));
        }
    }

    /// Whoever changes a sentence reads all of them together.
    #[test]
    fn replies_in_indian_languages_use_their_own_script_only() {
        for (language, script, date) in [
            (Language::Hindi, '\u{900}'..='\u{97f}', "1 दिसंबर 2026 तक"),
            (Language::Kannada, '\u{c80}'..='\u{cff}', "1 ಡಿಸೆಂಬರ್ 2026 ರವರೆಗೆ"),
            (Language::Tamil, '\u{b80}'..='\u{bff}', "1 டிசம்பர் 2026 வரை"),
            (Language::Punjabi, '\u{a00}'..='\u{a7f}', "1 ਦਸੰਬਰ 2026 ਤੱਕ"),
        ] {
            let (first, again) = (about(language, "x"), About { is_revised: true, ..about(language, "x") });
            let texts = [write(&first).text, write(&again).text];
            assert!(texts.iter().all(|text| text.contains(date)), "{texts:?}");
            let words =
                texts.concat().replace("LSD-00007", "").replace("Lindner", "").replace("https://q.example/q/1", "");
            // The danda is shared by all of India's scripts, the joiners by all.
            let ours = |c: char| c.is_ascii() || script.contains(&c) || matches!(c, '।' | '\u{200c}' | '\u{200d}');
            assert!(!words.chars().any(|c| c.is_ascii_alphabetic() || !ours(c)), "{words}");
        }
    }
}
