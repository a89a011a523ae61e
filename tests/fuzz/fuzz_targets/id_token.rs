#![no_main]

postrider_fuzz::program!("id_token");
