//! The words of the page in the languages we speak.

use postrider_shared::language::Language;

pub(super) struct Words {
    pub(super) quote: &'static str,
    pub(super) total: &'static str,
    /// "Last day": the label of the day itself.
    pub(super) last_day: &'static str,
    pub(super) accept: &'static str,
    pub(super) decline: &'static str,
    pub(super) accepted: &'static str,
    pub(super) declined: &'static str,
    pub(super) expired: &'static str,
    pub(super) replaced: &'static str,
    pub(super) closed: &'static str,
    pub(super) invalid: &'static str,
    pub(super) later: &'static str,
}

/// A page without a quote does not know whose language to speak.
const INVALID: &str =
    "This link is not valid, or not any more. Please use the link in the latest mail, or reply to it.";
const LATER: &str = "This cannot be shown at the moment. Please try again in a few minutes.";

#[rustfmt::skip]
pub(super) fn words(language: Language) -> Words {
    match language {
        Language::English => Words {
            quote: "Quote", total: "Total", last_day: "Valid until", accept: "Accept", decline: "Decline",
            accepted: "Thank you: you have accepted this quote.",
            declined: "You have declined this quote.",
            expired: "This quote is no longer valid. Simply reply to our mail if you would like a new one.",
            replaced: "There is a newer version of this quote. Please use the link in our latest mail.",
            closed: "Nothing can be decided about this quote at the moment.",
            invalid: INVALID, later: LATER,
        },
        Language::Hindi => Words {
            quote: "कोटेशन", total: "कुल राशि", last_day: "अंतिम तिथि", accept: "स्वीकार करें", decline: "अस्वीकार करें",
            accepted: "धन्यवाद, आपने यह कोटेशन स्वीकार कर लिया है।",
            declined: "आपने यह कोटेशन अस्वीकार कर दिया है।",
            expired: "यह कोटेशन अब मान्य नहीं है। नया कोटेशन चाहिए, तो कृपया हमारे ई-मेल का उत्तर दें।",
            replaced: "इस कोटेशन का नया संस्करण उपलब्ध है। कृपया हमारे नवीनतम ई-मेल में दिए गए लिंक का उपयोग करें।",
            closed: "इस कोटेशन पर अभी कोई निर्णय नहीं लिया जा सकता।",
            invalid: INVALID, later: LATER,
        },
        Language::Kannada => Words {
            quote: "ದರಪಟ್ಟಿ", total: "ಒಟ್ಟು ಮೊತ್ತ", last_day: "ಕೊನೆಯ ದಿನಾಂಕ", accept: "ಸ್ವೀಕರಿಸಿ", decline: "ನಿರಾಕರಿಸಿ",
            accepted: "ಧನ್ಯವಾದಗಳು, ನೀವು ಈ ದರಪಟ್ಟಿಯನ್ನು ಸ್ವೀಕರಿಸಿದ್ದೀರಿ.",
            declined: "ನೀವು ಈ ದರಪಟ್ಟಿಯನ್ನು ನಿರಾಕರಿಸಿದ್ದೀರಿ.",
            expired: "ಈ ದರಪಟ್ಟಿಯ ಅವಧಿ ಮುಗಿದಿದೆ. ಹೊಸ ದರಪಟ್ಟಿ ಬೇಕಿದ್ದರೆ, ದಯವಿಟ್ಟು ನಮ್ಮ ಇಮೇಲ್‌ಗೆ ಉತ್ತರಿಸಿ.",
            replaced: "ಈ ದರಪಟ್ಟಿಯ ಹೊಸ ಆವೃತ್ತಿ ಇದೆ. ದಯವಿಟ್ಟು ನಮ್ಮ ಇತ್ತೀಚಿನ ಇಮೇಲ್‌ನಲ್ಲಿರುವ ಲಿಂಕ್ ಬಳಸಿ.",
            closed: "ಈ ದರಪಟ್ಟಿಯ ಬಗ್ಗೆ ಸದ್ಯ ನಿರ್ಧರಿಸಲು ಸಾಧ್ಯವಿಲ್ಲ.",
            invalid: INVALID, later: LATER,
        },
        Language::Tamil => Words {
            quote: "விலைப்புள்ளி", total: "மொத்தம்", last_day: "கடைசி நாள்", accept: "ஏற்கிறேன்", decline: "மறுக்கிறேன்",
            accepted: "நன்றி, இந்த விலைப்புள்ளியை ஏற்றுக்கொண்டுள்ளீர்கள்.",
            declined: "இந்த விலைப்புள்ளியை மறுத்துள்ளீர்கள்.",
            expired: "இந்த விலைப்புள்ளி காலாவதியாகிவிட்டது. புதியது தேவைப்பட்டால், எங்கள் மின்னஞ்சலுக்குப் பதிலளிக்கவும்.",
            replaced: "இந்த விலைப்புள்ளியின் புதிய பதிப்பு உள்ளது. எங்கள் சமீபத்திய மின்னஞ்சலில் உள்ள இணைப்பைப் பயன்படுத்தவும்.",
            closed: "இந்த விலைப்புள்ளியைப் பற்றி இப்போது முடிவெடுக்க இயலாது.",
            invalid: INVALID, later: LATER,
        },
        Language::Punjabi => Words {
            quote: "ਕੋਟੇਸ਼ਨ", total: "ਕੁੱਲ ਰਕਮ", last_day: "ਆਖ਼ਰੀ ਮਿਤੀ", accept: "ਸਵੀਕਾਰ ਕਰੋ", decline: "ਅਸਵੀਕਾਰ ਕਰੋ",
            accepted: "ਧੰਨਵਾਦ, ਤੁਸੀਂ ਇਹ ਕੋਟੇਸ਼ਨ ਸਵੀਕਾਰ ਕਰ ਲਈ ਹੈ।",
            declined: "ਤੁਸੀਂ ਇਹ ਕੋਟੇਸ਼ਨ ਅਸਵੀਕਾਰ ਕਰ ਦਿੱਤੀ ਹੈ।",
            expired: "ਇਹ ਕੋਟੇਸ਼ਨ ਹੁਣ ਵੈਧ ਨਹੀਂ ਹੈ। ਨਵੀਂ ਕੋਟੇਸ਼ਨ ਲਈ ਕਿਰਪਾ ਕਰਕੇ ਸਾਡੀ ਈਮੇਲ ਦਾ ਜਵਾਬ ਦਿਓ।",
            replaced: "ਇਸ ਕੋਟੇਸ਼ਨ ਦਾ ਨਵਾਂ ਰੂਪ ਮੌਜੂਦ ਹੈ। ਕਿਰਪਾ ਕਰਕੇ ਸਾਡੀ ਤਾਜ਼ਾ ਈਮੇਲ ਵਿਚਲਾ ਲਿੰਕ ਵਰਤੋ।",
            closed: "ਇਸ ਕੋਟੇਸ਼ਨ ਬਾਰੇ ਇਸ ਵੇਲੇ ਕੋਈ ਫ਼ੈਸਲਾ ਨਹੀਂ ਹੋ ਸਕਦਾ।",
            invalid: INVALID, later: LATER,
        },
        Language::German => Words {
            quote: "Angebot", total: "Gesamtbetrag", last_day: "Gültig bis", accept: "Annehmen", decline: "Ablehnen",
            accepted: "Vielen Dank: Sie haben dieses Angebot angenommen.",
            declined: "Sie haben dieses Angebot abgelehnt.",
            expired: "Dieses Angebot gilt nicht mehr. Wünschen Sie ein neues, antworten Sie einfach auf unsere E-Mail.",
            replaced: "Es gibt eine neuere Fassung dieses Angebots. Bitte nehmen Sie den Link in unserer letzten E-Mail.",
            closed: "Über dieses Angebot kann gerade nicht entschieden werden.",
            invalid: INVALID, later: LATER,
        },
        Language::French => Words {
            quote: "Devis", total: "Total", last_day: "Valable jusqu’au", accept: "Accepter", decline: "Refuser",
            accepted: "Merci : vous avez accepté ce devis.",
            declined: "Vous avez refusé ce devis.",
            expired: "Ce devis n’est plus valable. Pour en recevoir un nouveau, répondez simplement à notre e-mail.",
            replaced: "Il existe une version plus récente de ce devis. Veuillez utiliser le lien de notre dernier e-mail.",
            closed: "Il n’est pas possible de se prononcer sur ce devis pour le moment.",
            invalid: INVALID, later: LATER,
        },
        Language::Spanish => Words {
            quote: "Presupuesto", total: "Total", last_day: "Válido hasta", accept: "Aceptar", decline: "Rechazar",
            accepted: "Gracias: ha aceptado este presupuesto.",
            declined: "Ha rechazado este presupuesto.",
            expired: "Este presupuesto ya no es válido. Si desea uno nuevo, responda simplemente a nuestro correo.",
            replaced: "Hay una versión más reciente de este presupuesto. Utilice el enlace de nuestro último correo.",
            closed: "En este momento no se puede decidir sobre este presupuesto.",
            invalid: INVALID, later: LATER,
        },
        Language::Italian => Words {
            quote: "Preventivo", total: "Totale", last_day: "Valido fino al", accept: "Accetta", decline: "Rifiuta",
            accepted: "Grazie: ha accettato questo preventivo.",
            declined: "Ha rifiutato questo preventivo.",
            expired: "Questo preventivo non è più valido. Se ne desidera uno nuovo, risponda alla nostra e-mail.",
            replaced: "Esiste una versione più recente di questo preventivo. Usi il link nella nostra ultima e-mail.",
            closed: "Al momento non è possibile decidere su questo preventivo.",
            invalid: INVALID, later: LATER,
        },
        Language::Dutch => Words {
            quote: "Offerte", total: "Totaal", last_day: "Geldig tot en met", accept: "Accepteren", decline: "Afwijzen",
            accepted: "Hartelijk dank: u hebt deze offerte geaccepteerd.",
            declined: "U hebt deze offerte afgewezen.",
            expired: "Deze offerte is niet meer geldig. Wilt u een nieuwe, antwoord dan gewoon op onze e-mail.",
            replaced: "Er is een nieuwere versie van deze offerte. Gebruik de link in onze laatste e-mail.",
            closed: "Over deze offerte kan op dit moment niet worden beslist.",
            invalid: INVALID, later: LATER,
        },
    }
}
