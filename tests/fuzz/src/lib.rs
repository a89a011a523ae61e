//! Parsers of strangers' bytes, each as a function of those bytes alone: the fuzz targets.
//!
//! Two things run them. `tests/short.rs`, with every other test: all seeds and a fixed number of broken ones, on any toolchain.
//! And libFuzzer, guided by coverage, for as long as somebody likes: `tests/fuzz/run`. Both go by [`TARGETS`].

mod entries;
mod judge;
mod mutation;
mod seeds;

use postrider_documents::Kind;

use self::entries::{documents, issuers, links, mail, mailbox, model, pricing, requests};
pub use self::judge::{Verdict, listen, try_input};
pub use self::mutation::Mutator;
use self::seeds::Seeds;

/// One parser.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Also the name of its program and of its folders.
    pub name: &'static str,
    run: fn(&[u8]),
    seeds: Seeds,
    /// Broken inputs of the short run: fewer where one takes milliseconds.
    pub short: usize,
}

const fn target(name: &'static str, seeds: Seeds, run: fn(&[u8])) -> Target {
    Target { name, run, seeds, short: 2_000 }
}

/// All of them.
pub const TARGETS: &[Target] = &[
    target("document_csv", Seeds::documents(&["csv"]), |bytes| documents::read(Kind::Csv, bytes)),
    target("document_text", Seeds::documents(&["txt", "csv"]), |bytes| documents::read(Kind::Text, bytes)),
    target("document_xlsx", Seeds::documents(&["xlsx"]), |bytes| documents::read(Kind::Xlsx, bytes)).at_most(500),
    target("document_xlsx_part", Seeds::parts("06-simple.xlsx"), documents::xlsx_part).at_most(1_000),
    target("document_xls", Seeds::documents(&["xls"]), |bytes| documents::read(Kind::Xls, bytes)),
    target("document_ods", Seeds::documents(&["ods"]), |bytes| documents::read(Kind::Ods, bytes)).at_most(500),
    target("document_ods_part", Seeds::parts("15-simple.ods"), documents::ods_part).at_most(1_000),
    target("document_docx", Seeds::documents(&["docx"]), |bytes| documents::read(Kind::Docx, bytes)).at_most(200),
    target("document_docx_part", Seeds::parts("17-table.docx"), documents::docx_part).at_most(1_000),
    target("document_pdf", Seeds::documents(&["pdf"]), |bytes| documents::read(Kind::Pdf, bytes)).at_most(1_000),
    target("document_picture", Seeds::documents(&["png", "jpg"]), documents::picture),
    target("document_any", Seeds::documents(&[]), documents::any).at_most(300),
    target("mail", Seeds::mails(), mail::message).at_most(1_000),
    target("mail_text", Seeds::own(), mail::text),
    target("mail_html", Seeds::own(), mail::html),
    target("imap", Seeds::own(), mailbox::conversation).at_most(1_000),
    target("formula", Seeds::own(), pricing::formula),
    target("model_answer", Seeds::own(), model::answer),
    target("consent_state", Seeds::own(), links::consent_state),
    target("decision_link", Seeds::own(), links::decision),
    target("id_token", Seeds::own(), issuers::id_token).at_most(1_000),
    target("key_set", Seeds::own(), issuers::key_set),
    target("api_body", Seeds::own(), requests::body),
    target("api_lines", Seeds::own(), requests::lines),
    target("api_parameters", Seeds::own(), requests::parameters),
];

impl Target {
    const fn at_most(mut self, inputs: usize) -> Self {
        self.short = inputs;
        self
    }

    /// The target of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }

    /// What its parser should understand, and what broke something before; by file name.
    pub fn seeds(&self) -> Vec<(String, Vec<u8>)> {
        self.seeds.of(self.name)
    }

    /// One input. Returns for every answer, however unkind; panics for none.
    pub fn run(&self, input: &[u8]) {
        (self.run)(input);
    }
}

/// The program of one target for libFuzzer.
#[macro_export]
macro_rules! program {
    ($name:literal) => {
        libfuzzer_sys::fuzz_target!(init: $crate::listen(), |input: &[u8]| {
            let target = $crate::Target::named($name).expect("the list of targets has the program's name");
            if let $crate::Verdict::Broken(why) = $crate::try_input(target, input) {
                eprintln!("{}: {why}", $name);
                std::process::abort();
            }
        });
    };
}
