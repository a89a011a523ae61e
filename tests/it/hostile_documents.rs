//! Files that were made to do harm, through the whole product: each costs at most the child process that reads it, and ends in a
//! recorded state with its reason, in front of a person.

mod readers;

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use postrider_tests::documents::{self, hostile};
use postrider_tests::platform::Office;
use postrider_tests::{DatabaseKind, Platform};
use serde_json::Value;

use self::readers::{Reader, readers_of};

const NEVER: u32 = 86_400;
const WORDS: &str = "Hello,\r\n\r\ncould you please send us a quote for what is in the attached file?\r\n";
/// What one child may take besides the program itself, as the worker sets it.
const CHILD_BYTES: u64 = 512 << 20;

/// The mail of one file, the state its attachment must have, and a part of the reason.
struct Case {
    name: String,
    content: Vec<u8>,
    state: &'static str,
    reason: &'static str,
}

fn case(name: &str, content: Vec<u8>, state: &'static str, reason: &'static str) -> Case {
    Case { name: name.to_owned(), content, state, reason }
}

/// Delivers each in a mail of its own and waits until all are settled.
async fn settled(platform: &Platform, office: &Office, cases: &[Case]) -> Vec<Value> {
    for (at, case) in cases.iter().enumerate() {
        let files: [(&str, &[u8]); 1] = [(&case.name, &case.content)];
        platform.sandbox().deliver(&office.address, documents::mail_with(at, &office.address, WORDS, &files)).await;
    }
    office.poll().await;
    office.settled_quotes(cases.len()).await
}

/// What became of each: `None` if it is as expected.
async fn wrong(office: &Office, at: usize, case: &Case, quotes: &[Value]) -> Option<String> {
    let id = format!("document-{at}@documents.example");
    let Some(quote) = quotes.iter().find(|quote| quote["mail"]["rfc_message_id"] == id.as_str()) else {
        return Some(format!("{} has no quote", case.name));
    };
    let listed = office.api.get(&format!("/v1/quotes/{}/attachments", quote["id"].as_str().unwrap())).await.ok();
    let file = &listed["items"][0];
    let reason = file["reason"].as_str().unwrap_or_default();
    let told = quote["reason"].as_str().unwrap_or_default();
    let unread = case.state != "unread" || quote["state"] == "needs_review" && told.contains(&case.name);
    let right = file["state"] == case.state && reason.contains(case.reason) && unread;
    (!right).then(|| {
        format!("{}: {} because {reason:?}; the quote: {} because {told:?}", case.name, file["state"], quote["state"])
    })
}

async fn all_as_expected(platform: &Platform, office: &Office, cases: &[Case]) {
    let quotes = settled(platform, office, cases).await;
    let mut all = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        all.extend(wrong(office, at, case, &quotes).await);
    }
    assert!(all.is_empty(), "{} of {}:\n{}", all.len(), cases.len(), all.join("\n"));
}

/// More XML than memory: strings that are nothing but their places in a list.
fn strings_without_end() -> Vec<u8> {
    let strings = format!(
        "<sst xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\">{}</sst>",
        "<si/>".repeat(9_000_000)
    );
    hostile::with("06-simple.xlsx", "xl/sharedStrings.xml", strings)
}

fn laughs() -> Vec<u8> {
    let mut text = "<?xml version=\"1.0\"?><!DOCTYPE sst [<!ENTITY a0 \"ha\">".to_owned();
    for level in 1..=30 {
        let last = level - 1;
        let _ = write!(text, "<!ENTITY a{level} \"&a{last};&a{last};&a{last};&a{last};\">");
    }
    text.push_str(
        "]><sst xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><si><t>&a30;</t></si></sst>",
    );
    hostile::with("06-simple.xlsx", "xl/sharedStrings.xml", text)
}

fn picture(name: &str, head: &[u8]) -> Case {
    case(name, head.to_vec(), "unread", "pixels")
}

#[tokio::test]
async fn bad_documents_end_in_a_recorded_state() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    let mut nested = documents::document("06-simple.xlsx").content;
    for _ in 0..20 {
        nested = hostile::archive(&[("next.zip".to_owned(), nested)]);
    }
    let mut broken = documents::document("21-pages.pdf").content;
    broken.truncate(200);
    let mut png = documents::document("28-sketch.png").content;
    png[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    let gif = [b"GIF89a".as_slice(), &[0xff, 0xff, 0xff, 0xff, 0x80, 0, 0]].concat();
    let spaces = vec![b' '; 100 << 20];
    let bomb = hostile::archive(&[("word/document.xml".to_owned(), spaces)]);
    assert!(bomb.len() < 200 * 1024, "a thousand to one: {}", bomb.len());
    let cases = [
        case("thousand-to-one.docx", bomb, "unread", "it unpacks to more than 64 MiB"),
        case("overlapping.xlsx", hostile::overlapping(1_500, 4), "unread", "it"),
        case("nested.xlsx", nested, "unread", "files of this kind are not read (an archive)"),
        case("laughs.xlsx", laughs(), "unread", ""),
        case("encrypted.pdf", documents::document("25-encrypted.pdf").content, "unread", "protected by a password"),
        case("broken.pdf", broken, "unread", "it is broken"),
        case("kids-loop.pdf", hostile::committed("kids-loop.pdf"), "unread", "it has no pages"),
        case("xref-loop.pdf", hostile::committed("xref-loop.pdf"), "read", ""),
        case("object-stream.pdf", hostile::committed("object-stream.pdf"), "read", ""),
        case("pages.pdf", hostile::committed("pages.pdf"), "read", ""),
        picture("sixty-thousand.png", &png),
        picture("bomb.gif", &gif),
        case("cut.jpg", documents::document("27-photo.jpg").content[..20].to_vec(), "unread", "it is broken"),
        case("page.csv", b"<!DOCTYPE html><script>x()</script>".to_vec(), "unread", "(markup)"),
        case("program.pdf", b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0".to_vec(), "unread", "(unknown binary data)"),
        case("empty.csv", b" \n".to_vec(), "read", ""),
    ];
    all_as_expected(&platform, &office, &cases).await;
    assert!(platform.worker(0).is_running());
    let peak = readers::peak_bytes(platform.worker(0).pid().unwrap());
    eprintln!("the worker's peak: {} MiB", peak >> 20);
    assert!(peak < 300 << 20, "the worker took {} MiB", peak >> 20);
    platform.finish().await;
}

/// They take what they may, so few tests beside this one.
#[tokio::test]
async fn heavy_documents_cost_their_child_only() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    let mut deep = b"%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj".to_vec();
    deep.extend(std::iter::repeat_n(b'[', 4_000_000));
    let memory = "reading it needs too much memory";
    let cases = [
        // Drawing that would outlast the sun.
        case("forms.pdf", hostile::committed("forms.pdf"), "unread", "reading it took too long"),
        // Four kilobytes that are two gigabytes, a page tree with more leaves than memory, and brackets within brackets.
        case("flate.pdf", hostile::committed("flate.pdf"), "unread", memory),
        case("page-tree.pdf", hostile::committed("page-tree.pdf"), "unread", memory),
        case("deep.pdf", deep, "unread", memory),
        // Found by fuzzing: a few cells that are said to lie billions apart.
        case("cells.xls", hostile::committed("cells.xls"), "unread", memory),
        case("strings.xlsx", strings_without_end(), "unread", ""),
        case("order.xlsx", documents::document("06-simple.xlsx").content, "read", ""),
    ];
    let worker = platform.worker(0).pid().unwrap();
    let watch = readers::watch(worker);
    all_as_expected(&platform, &office, &cases).await;
    let seen = watch.ended().await;
    let sane = office.quotes().await.into_iter().filter(|quote| quote["state"] == "sent").count();
    assert_eq!(sane, 1, "the sound order beside them was served");
    assert_eq!(platform.worker(0).pid(), Some(worker), "the worker is still the same process");
    eprintln!("{seen:?}, the worker's peak: {} MiB", readers::peak_bytes(worker) >> 20);
    assert!(seen.limited, "every child has its limit of memory: {seen:?}");
    // The program's own pages, most of them shared, come on top.
    assert!(seen.most_bytes < CHILD_BYTES + (256 << 20), "{seen:?}");
    assert!(seen.most_children <= 4, "{seen:?}");
    assert!(readers::peak_bytes(worker) < 400 << 20, "the worker took {} MiB", readers::peak_bytes(worker) >> 20);
    platform.finish().await;
}

#[tokio::test]
async fn heavy_readers_die_with_their_worker_and_crash_alone() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    for at in 0..2 {
        let content = hostile::committed("forms.pdf");
        let files: [(&str, &[u8]); 1] = [("forms.pdf", &content)];
        platform.sandbox().deliver(&office.address, documents::mail_with(at, &office.address, WORDS, &files)).await;
    }
    office.poll().await;
    let two = |platform: &Platform| {
        let worker = platform.worker(0).pid().unwrap();
        let busy = |readers: &Vec<Reader>| readers.len() == 2 && readers.iter().all(Reader::is_limited);
        async move { Some(readers_of(worker)).filter(busy) }
    };
    let orphans = postrider_tests::eventually("two documents to be read at once", || two(&platform)).await;
    for reader in &orphans {
        assert!(reader.address_space_limit().is_some_and(|limit| limit < CHILD_BYTES * 3), "{reader:?}");
        assert!(reader.environment().is_empty(), "a reader has no environment: {:?}", reader.environment());
    }
    platform.worker(0).kill();
    postrider_tests::eventually("the readers of a killed worker to be gone", || async {
        orphans.iter().all(|reader| !reader.is_alive()).then_some(())
    })
    .await;

    // The mails are read again by the next worker; there a reader crashes, which is an answer.
    platform.worker(0).start();
    platform.worker(0).ready().await;
    let mut crashed: Vec<Reader> = Vec::new();
    postrider_tests::wait::within(Duration::from_secs(90), "both readers to be crashed", || {
        for reader in readers_of(platform.worker(0).pid().unwrap()) {
            if reader.is_limited() && !crashed.contains(&reader) {
                reader.crash();
                crashed.push(reader);
            }
        }
        let done = crashed.len() >= 2;
        async move { done.then_some(()) }
    })
    .await;
    let quotes = office.settled_quotes(2).await;
    for quote in &quotes {
        let reason = quote["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("forms.pdf was not read: its reader crashed"), "{quote:#}");
    }
    assert_eq!(crashed.len(), 2, "nobody tried a crashed file again");
    platform.finish().await;
}

#[tokio::test]
async fn references_to_elsewhere_are_not_followed() {
    let platform = Platform::start().await;
    let office = platform.workshop(NEVER).await;
    let web = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    web.set_nonblocking(true).unwrap();
    let url = format!("http://{}/x.png", web.local_addr().unwrap());
    // Whoever opened this would hang on it until somebody writes.
    let pipe = platform.folder().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let cases = [
        case("template.docx", elsewhere("17-table.docx", "word/_rels/document.xml.rels", &url, &pipe), "read", ""),
        case("links.xlsx", elsewhere("06-simple.xlsx", "xl/_rels/workbook.xml.rels", &url, &pipe), "read", ""),
        case("image.ods", linked_sheet(&url, &pipe), "read", ""),
        case("stream.pdf", linked_pdf(&url, &pipe), "unread", ""),
    ];
    all_as_expected(&platform, &office, &cases).await;
    let visitor = web.accept().map(|(_, from)| from);
    assert_eq!(visitor.unwrap_err().kind(), ErrorKind::WouldBlock, "somebody followed a reference");
    platform.finish().await;
}

fn elsewhere(name: &str, file: &str, url: &str, pipe: &Path) -> Vec<u8> {
    let kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
    let reference = |at: usize, sort: &str, to: &str| {
        format!("<Relationship Id=\"rId9{at}\" Type=\"{kind}/{sort}\" Target=\"{to}\" TargetMode=\"External\"/>")
    };
    let pipe = format!("file://{}", pipe.display());
    let mut more = String::new();
    for (at, sort) in
        ["attachedTemplate", "image", "externalLink", "externalLinkPath", "subDocument"].iter().enumerate()
    {
        more.push_str(&reference(at, sort, url));
        more.push_str(&reference(at + 5, sort, &pipe));
    }
    let text = hostile::part(name, file);
    hostile::with(name, file, text.replace("</Relationships>", &format!("{more}</Relationships>")))
}

fn linked_sheet(url: &str, pipe: &Path) -> Vec<u8> {
    let sheet = format!(
        "<office:document-content xmlns:table=\"t\" xmlns:office=\"o\" xmlns:text=\"x\" xmlns:draw=\"d\" xmlns:xlink=\"l\">\
         <table:table table:name=\"S\"><table:table-source xlink:href=\"{url}\"/><table:table-source xlink:href=\"file://{}\"/>\
         <table:table-row><table:table-cell><draw:image xlink:href=\"{url}\"/><text:p>3 Roll-ups</text:p></table:table-cell>\
         </table:table-row></table:table></office:document-content>",
        pipe.display()
    );
    hostile::with("15-simple.ods", "content.xml", sheet)
}

/// Its page's content is said to lie in other files.
fn linked_pdf(url: &str, pipe: &Path) -> Vec<u8> {
    format!(
        "%PDF-1.7\n1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction<</S/URI/URI({url})>>>>endobj\n\
         2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
         3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents[4 0 R 5 0 R]>>endobj\n\
         4 0 obj<</Length 0/F<</FS/URL/F({url})>>>>stream\n\nendstream endobj\n\
         5 0 obj<</Length 0/F({})>>stream\n\nendstream endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
        pipe.display()
    )
    .into_bytes()
}

on_both_databases!(five_hundred_attachments_are_bounded_and_named);

async fn five_hundred_attachments_are_bounded_and_named(database: DatabaseKind) {
    let platform = Platform::with(database).start().await;
    let office = platform.workshop(NEVER).await;
    let twin = b"Artikel;Menge\nRoll-up;3\n".as_slice();
    let contents: Vec<Vec<u8>> = (0..490).map(|at| format!("note {at}\n").into_bytes()).collect();
    let names: Vec<String> = (0..490).map(|at| format!("../{at}\u{202e}vsc.txt")).collect();
    let mut files: Vec<(&str, &[u8])> = (0..10).map(|_| ("order.csv", twin)).collect();
    files.extend(names.iter().map(String::as_str).zip(contents.iter().map(Vec::as_slice)));
    assert_eq!(files.len(), 500);
    platform.sandbox().deliver(&office.address, documents::mail_with(0, &office.address, WORDS, &files)).await;
    office.poll().await;
    let quote = &office.settled_quotes(1).await[0];
    let reason = quote["reason"].as_str().unwrap_or_default();
    assert_eq!(quote["state"], "needs_review", "{quote:#}");
    // Ten are one and the same; nineteen more are read; ten of the rest are named.
    let told: Vec<String> = (19..29).map(|at| format!("{at}vsc.txt")).collect();
    let rest = format!("471 more attachments were not looked at: {}, …", told.join(", "));
    assert!(reason.contains(&rest), "{reason}");
    let listed = office.api.get(&format!("/v1/quotes/{}/attachments", quote["id"].as_str().unwrap())).await.ok();
    let names: Vec<&str> =
        listed["items"].as_array().unwrap().iter().filter_map(|file| file["name"].as_str()).collect();
    assert_eq!(names.len(), 20, "{names:?}");
    assert_eq!((names[0], names[1]), ("order.csv", "0vsc.txt"));
    assert!(listed["items"].as_array().unwrap().iter().all(|file| file["state"] == "read"), "{listed:#}");
    platform.finish().await;
}
