#![no_main]

postrider_fuzz::program!("document_xlsx_part");
