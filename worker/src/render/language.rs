//! The words of a quote in the languages we speak.

/// A language of documents. Any other is written in English.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Language {
    English,
    German,
    French,
    Spanish,
    Italian,
    Dutch,
}

/// The fixed words of the template.
pub(super) struct Labels {
    pub(super) quote: &'static str,
    pub(super) number: &'static str,
    pub(super) date: &'static str,
    pub(super) valid_until: &'static str,
    pub(super) prepared_for: &'static str,
    pub(super) your_request: &'static str,
    pub(super) item: &'static str,
    pub(super) quantity: &'static str,
    pub(super) unit_price: &'static str,
    pub(super) amount: &'static str,
    pub(super) subtotal: &'static str,
    pub(super) total: &'static str,
    pub(super) notes: &'static str,
    pub(super) material: &'static str,
    pub(super) page: &'static str,
    pub(super) of: &'static str,
}

impl Language {
    pub const ALL: [Self; 6] = [Self::English, Self::German, Self::French, Self::Spanish, Self::Italian, Self::Dutch];

    /// From a language tag such as `de`, `de-AT` or `DE_de`.
    pub fn of(tag: &str) -> Self {
        let primary = tag.trim().split(['-', '_']).next().unwrap_or_default().to_ascii_lowercase();
        Self::ALL.into_iter().find(|language| language.tag() == primary).unwrap_or(Self::English)
    }

    /// ISO 639-1.
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
            Self::Spanish => "es",
            Self::Italian => "it",
            Self::Dutch => "nl",
        }
    }

    #[rustfmt::skip]
    pub(super) fn months(self) -> [&'static str; 12] {
        match self {
            Self::English => ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"],
            Self::German => ["Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"],
            Self::French => ["janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"],
            Self::Spanish => ["enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"],
            Self::Italian => ["gennaio", "febbraio", "marzo", "aprile", "maggio", "giugno", "luglio", "agosto", "settembre", "ottobre", "novembre", "dicembre"],
            Self::Dutch => ["januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus", "september", "oktober", "november", "december"],
        }
    }

    #[rustfmt::skip]
    pub(super) fn labels(self) -> Labels {
        match self {
            Self::English => Labels {
                quote: "Quote", number: "Number", date: "Date", valid_until: "Valid until", prepared_for: "Prepared for", your_request: "Your request",
                item: "Item", quantity: "Quantity", unit_price: "Unit price", amount: "Amount", subtotal: "Subtotal", total: "Total",
                notes: "Notes", material: "Material", page: "Page", of: "of",
            },
            Self::German => Labels {
                quote: "Angebot", number: "Nummer", date: "Datum", valid_until: "Gültig bis", prepared_for: "Für", your_request: "Ihre Anfrage",
                item: "Position", quantity: "Menge", unit_price: "Einzelpreis", amount: "Betrag", subtotal: "Zwischensumme", total: "Gesamtbetrag",
                notes: "Hinweise", material: "Material", page: "Seite", of: "von",
            },
            Self::French => Labels {
                quote: "Devis", number: "Numéro", date: "Date", valid_until: "Valable jusqu’au", prepared_for: "À l’attention de", your_request: "Votre demande",
                item: "Désignation", quantity: "Quantité", unit_price: "Prix unitaire", amount: "Montant", subtotal: "Sous-total", total: "Total",
                notes: "Remarques", material: "Matériau", page: "Page", of: "sur",
            },
            Self::Spanish => Labels {
                quote: "Presupuesto", number: "Número", date: "Fecha", valid_until: "Válido hasta", prepared_for: "Para", your_request: "Su solicitud",
                item: "Concepto", quantity: "Cantidad", unit_price: "Precio unitario", amount: "Importe", subtotal: "Subtotal", total: "Total",
                notes: "Observaciones", material: "Material", page: "Página", of: "de",
            },
            Self::Italian => Labels {
                quote: "Preventivo", number: "Numero", date: "Data", valid_until: "Valido fino al", prepared_for: "Spett.le", your_request: "La Sua richiesta",
                item: "Descrizione", quantity: "Quantità", unit_price: "Prezzo unitario", amount: "Importo", subtotal: "Subtotale", total: "Totale",
                notes: "Note", material: "Materiale", page: "Pagina", of: "di",
            },
            Self::Dutch => Labels {
                quote: "Offerte", number: "Nummer", date: "Datum", valid_until: "Geldig tot", prepared_for: "Voor", your_request: "Uw aanvraag",
                item: "Omschrijving", quantity: "Aantal", unit_price: "Stukprijs", amount: "Bedrag", subtotal: "Subtotaal", total: "Totaal",
                notes: "Opmerkingen", material: "Materiaal", page: "Pagina", of: "van",
            },
        }
    }

    /// The usual names of dimensions; others are shown as the tenant wrote them.
    #[rustfmt::skip]
    pub(super) fn dimension(self, name: &str) -> Option<&'static str> {
        const NAMES: [&str; 7] = ["width", "height", "length", "depth", "thickness", "diameter", "weight"];
        let index = NAMES.iter().position(|known| *known == name)?;
        let names = match self {
            Self::English => ["Width", "Height", "Length", "Depth", "Thickness", "Diameter", "Weight"],
            Self::German => ["Breite", "Höhe", "Länge", "Tiefe", "Stärke", "Durchmesser", "Gewicht"],
            Self::French => ["Largeur", "Hauteur", "Longueur", "Profondeur", "Épaisseur", "Diamètre", "Poids"],
            Self::Spanish => ["Ancho", "Alto", "Largo", "Profundidad", "Espesor", "Diámetro", "Peso"],
            Self::Italian => ["Larghezza", "Altezza", "Lunghezza", "Profondità", "Spessore", "Diametro", "Peso"],
            Self::Dutch => ["Breedte", "Hoogte", "Lengte", "Diepte", "Dikte", "Diameter", "Gewicht"],
        };
        names.get(index).copied()
    }
}
