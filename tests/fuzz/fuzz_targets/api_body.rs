#![no_main]

postrider_fuzz::program!("api_body");
