//! A province: outlets alike, each a cement kiln with 16 channels, spread evenly over gateways.

use std::fmt::Write as _;

/// Code, unit, bases, mean of each channel.
pub const CHANNELS: [(&str, &str, &str, f64); 16] = [
    ("a34013", "mg/m3", "wet actual", 2.0),
    ("a21026", "mg/m3", "dry standard", 15.0),
    ("a21002", "mg/m3", "dry standard", 30.0),
    ("a21005", "mg/m3", "dry standard", 50.0),
    ("a21024", "mg/m3", "dry standard", 20.0),
    ("a21003", "ppm", "dry standard", 20.0),
    ("a21004", "ppm", "dry standard", 2.0),
    ("a21001", "mg/m3", "dry standard", 3.0),
    ("a21028", "mg/m3", "dry standard", 3.0),
    ("a24088", "mg/m3", "dry standard", 3.0),
    ("a19001", "%", "dry", 10.0),
    ("a01012", "C", "", 120.0),
    ("a01013", "kPa", "", 1.2),
    ("a01014", "%", "", 10.0),
    ("a01011", "m/s", "", 12.0),
    ("a01006", "kPa", "", 100.0),
];

const FROM: &str = "from = \"2020-01-01T00:00:00+08:00\"";

/// The code of an outlet.
pub fn outlet(number: usize) -> String {
    format!("kiln-{number:05}")
}

/// The name of a gateway.
pub fn gateway(number: usize) -> String {
    format!("gw-{number:04}")
}

/// So many outlets; outlet `n` is served by gateway `n % gateways`.
pub fn document(outlets: usize, gateways: usize) -> String {
    document_with(outlets, gateways, 0)
}

/// The same with more outlets after them, all served by one more gateway, number `gateways`.
pub fn document_with(outlets: usize, gateways: usize, more: usize) -> String {
    let mut text = "schema = \"plant/1\"\n[[enterprise]]\ncode = \"91410811DEM000001F\"\nname = \"Demo\"\nindustry = \"C3011\"\n\
                    division = \"410811\"\ncontact = \"Nobody\"\n"
        .to_owned();
    for number in 0..outlets + more {
        write!(
            text,
            "[[outlet]]\ncode = \"{}\"\nname = \"Kiln\"\nenterprise = \"91410811DEM000001F\"\nlongitude = 113.2\n\
             latitude = 35.2\nstack_height_m = 90\n[[outlet.setting]]\n{FROM}\nprocess = \"cement-kiln\"\nreference_oxygen_percent = 10\n\
             area_m2 = 7.5\n[[outlet.analyser]]\nname = \"gas\"\n{FROM}\nmaker = \"D\"\nmodel = \"D\"\nserial_number = \"1\"\n\
             principle = \"D\"\n",
            outlet(number)
        )
        .unwrap();
        for (code, unit, bases, _) in CHANNELS {
            write!(text, "[[outlet.channel]]\ncode = \"{code}\"\n{FROM}\nanalyser = \"gas\"\nunit = \"{unit}\"\nrange = [-1000, 1000]\n")
                .unwrap();
            for (key, word) in ["moisture_basis", "state_basis"].iter().zip(bases.split_whitespace()) {
                writeln!(text, "{key} = \"{word}\"").unwrap();
            }
        }
    }
    for number in 0..gateways {
        writeln!(text, "[[gateway]]\nname = \"{}\"", gateway(number)).unwrap();
        for outlet_number in (number..outlets).step_by(gateways) {
            writeln!(text, "[[gateway.serves]]\noutlet = \"{}\"\n{FROM}", outlet(outlet_number)).unwrap();
        }
    }
    if more > 0 {
        writeln!(text, "[[gateway]]\nname = \"{}\"", gateway(gateways)).unwrap();
    }
    for number in outlets..outlets + more {
        writeln!(text, "[[gateway.serves]]\noutlet = \"{}\"\n{FROM}", outlet(number)).unwrap();
    }
    text
}
