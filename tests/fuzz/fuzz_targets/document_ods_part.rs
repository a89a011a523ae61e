#![no_main]

postrider_fuzz::program!("document_ods_part");
