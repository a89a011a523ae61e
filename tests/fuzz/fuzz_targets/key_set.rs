#![no_main]

postrider_fuzz::program!("key_set");
