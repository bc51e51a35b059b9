//! Spanish: what may be left out or exchanged.

use super::{Form, Language};

/// Spanish.
pub static SPANISH: Language = Language {
    code: "es",
    common: "el la los las un una unos unas de del y o pero no yo tú él ella nosotros ustedes ellos mi mis tu tus su sus es son \
             era ser está están estoy he ha hay puedo puede pueden cómo como qué que cuál cuáles quién cuándo dónde por para \
             con sin en al a se me te lo le más menos muy también este esta estos estas cuánto cuesta",
    short: &[],
    polite: &["por favor"],
    greetings: &["hola", "buenos días", "buenas tardes", "buenas noches", "buenas"],
    thanks: &["gracias", "muchas gracias", "gracias de antemano"],
    asks: &[
        "puedes decirme",
        "puede decirme",
        "podrías decirme",
        "podría decirme",
        "me puedes decir",
        "me puede decir",
        "dime",
        "dígame",
        "sabes",
        "sabe usted",
        "quiero saber",
        "quisiera saber",
        "me gustaría saber",
    ],
    pleas: &[],
    requests: "",
    questions: "cómo qué cuál cuáles quién cuándo dónde cuánto",
    auxiliaries: "",
    forms: &[
        Form::new("how-to", "cómo puedo", ""),
        Form::new("how-to", "como puedo", ""),
        Form::new("how-to", "cómo se puede", ""),
        Form::new("how-to", "cómo podría", ""),
        Form::new("how-to", "cómo hago para", ""),
        Form::new("how-to", "cómo podemos", ""),
        Form::new("how-to", "de qué manera puedo", ""),
        Form::new("definition", "qué significa", ""),
        Form::new("definition", "qué quiere decir", ""),
        Form::new("definition", "cuál es el significado de", ""),
        Form::new("price", "cuánto cuesta", ""),
        Form::new("price", "cuánto vale", ""),
        Form::new("price", "cuál es el precio de", ""),
        Form::new("difference", "cuál es la diferencia entre", ""),
        Form::new("difference", "qué diferencia hay entre", ""),
        Form::new("works", "cómo funciona", ""),
    ],
    articles: "",
    light: "el la los las un una mi mis nuestro nuestra",
    light_forms: &["how-to"],
    nouns: "",
    verbs: "",
    states: "",
    same: &[
        &["email", "correo electrónico", "e-mail"],
        &["eliminar", "borrar", "suprimir"],
        &["coche", "carro", "auto"],
    ],
};
