//! The languages that documents, mails and pages for customers are written in, and how each writes numbers and dates.

mod written;

pub use written::{Written, date};

/// A language we write. What is said in each stands beside what says it: the PDF, the mail, the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    English,
    Hindi,
    Kannada,
    Tamil,
    /// In Gurmukhi, as in India.
    Punjabi,
    German,
    French,
    Spanish,
    Italian,
    Dutch,
}

impl Language {
    pub const ALL: [Self; 10] = [
        Self::English,
        Self::Hindi,
        Self::Kannada,
        Self::Tamil,
        Self::Punjabi,
        Self::German,
        Self::French,
        Self::Spanish,
        Self::Italian,
        Self::Dutch,
    ];

    /// From a language tag such as `de`, `pa-IN` or `DE_de`; `None` for a language we do not write.
    pub fn known(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        Self::ALL.into_iter().find(|language| language.tag() == primary)
    }

    /// What a customer is answered in: the language of the request if we write it, else the tenant's, else English.
    pub fn answering(request: &str, tenant: &str) -> Self {
        Self::known(request).or_else(|| Self::known(tenant)).unwrap_or(Self::English)
    }

    /// ISO 639-1.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Hindi => "hi",
            Self::Kannada => "kn",
            Self::Tamil => "ta",
            Self::Punjabi => "pa",
            Self::German => "de",
            Self::French => "fr",
            Self::Spanish => "es",
            Self::Italian => "it",
            Self::Dutch => "nl",
        }
    }

    /// One of India's languages other than English: written in a script of its own, numbers in lakhs and crores.
    pub fn is_indian(self) -> bool {
        match self {
            Self::Hindi | Self::Kannada | Self::Tamil | Self::Punjabi => true,
            Self::English | Self::German | Self::French | Self::Spanish | Self::Italian | Self::Dutch => false,
        }
    }

    #[rustfmt::skip]
    fn months(self) -> [&'static str; 12] {
        match self {
            Self::English => ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"],
            Self::Hindi => ["जनवरी", "फ़रवरी", "मार्च", "अप्रैल", "मई", "जून", "जुलाई", "अगस्त", "सितंबर", "अक्तूबर", "नवंबर", "दिसंबर"],
            Self::Kannada => ["ಜನವರಿ", "ಫೆಬ್ರವರಿ", "ಮಾರ್ಚ್", "ಏಪ್ರಿಲ್", "ಮೇ", "ಜೂನ್", "ಜುಲೈ", "ಆಗಸ್ಟ್", "ಸೆಪ್ಟೆಂಬರ್", "ಅಕ್ಟೋಬರ್", "ನವೆಂಬರ್", "ಡಿಸೆಂಬರ್"],
            Self::Tamil => ["ஜனவரி", "பிப்ரவரி", "மார்ச்", "ஏப்ரல்", "மே", "ஜூன்", "ஜூலை", "ஆகஸ்ட்", "செப்டம்பர்", "அக்டோபர்", "நவம்பர்", "டிசம்பர்"],
            Self::Punjabi => ["ਜਨਵਰੀ", "ਫ਼ਰਵਰੀ", "ਮਾਰਚ", "ਅਪ੍ਰੈਲ", "ਮਈ", "ਜੂਨ", "ਜੁਲਾਈ", "ਅਗਸਤ", "ਸਤੰਬਰ", "ਅਕਤੂਬਰ", "ਨਵੰਬਰ", "ਦਸੰਬਰ"],
            Self::German => ["Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"],
            Self::French => ["janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"],
            Self::Spanish => ["enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"],
            Self::Italian => ["gennaio", "febbraio", "marzo", "aprile", "maggio", "giugno", "luglio", "agosto", "settembre", "ottobre", "novembre", "dicembre"],
            Self::Dutch => ["januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober", "november", "december"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Language;

    #[test]
    fn a_customer_is_answered_in_the_language_of_the_request_or_of_the_tenant() {
        for language in Language::ALL {
            assert_eq!(Language::known(&format!("{}-XX", language.tag())), Some(language));
        }
        assert_eq!(Language::answering("HI", "en"), Language::Hindi);
        assert_eq!(Language::answering("pl", "kn"), Language::Kannada);
        assert_eq!(Language::answering("", "pl"), Language::English);
    }
}
