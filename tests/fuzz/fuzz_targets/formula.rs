#![no_main]

postrider_fuzz::program!("formula");
