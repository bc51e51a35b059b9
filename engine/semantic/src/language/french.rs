//! French: what may be left out or exchanged.

use super::{Form, Language};

/// French.
pub static FRENCH: Language = Language {
    code: "fr",
    common: "le la les un une des du de et ou mais ne pas je tu il elle nous vous ils elles mon ma mes ton ta tes son sa ses \
             est sont était être ai as avons avez ont peut peux puis-je comment quoi que quel quelle quels quelles qui quand où \
             pourquoi combien avec sans pour sur dans par au aux ce cette ces qu'est-ce est-ce c'est plus moins très aussi",
    short: &[],
    polite: &["s'il vous plaît", "s'il te plaît", "svp", "stp"],
    greetings: &["bonjour", "salut", "bonsoir", "coucou"],
    thanks: &["merci", "merci beaucoup", "merci d'avance", "merci par avance"],
    asks: &[
        "pouvez-vous me dire",
        "peux-tu me dire",
        "pourriez-vous me dire",
        "pourrais-tu me dire",
        "dites-moi",
        "dis-moi",
        "savez-vous",
        "sais-tu",
        "je voudrais savoir",
        "j'aimerais savoir",
        "je veux savoir",
    ],
    pleas: &[],
    requests: "",
    questions: "comment quoi que quel quelle quels quelles qui quand où pourquoi combien",
    auxiliaries: "est-ce",
    forms: &[
        Form::new("how-to", "comment puis-je", ""),
        Form::new("how-to", "comment peut-on", ""),
        Form::new("how-to", "comment pouvons-nous", ""),
        Form::new("how-to", "comment faire pour", ""),
        Form::new("how-to", "comment je peux", ""),
        Form::new("how-to", "de quelle façon puis-je", ""),
        Form::new("definition", "que signifie", ""),
        Form::new("definition", "que veut dire", ""),
        Form::new("definition", "quelle est la signification de", ""),
        Form::new("price", "combien coûte", ""),
        Form::new("price", "quel est le prix de", ""),
        Form::new("difference", "quelle est la différence entre", ""),
        Form::new("difference", "quelles sont les différences entre", ""),
        Form::new("works", "comment fonctionne", ""),
        Form::new("works", "comment marche", ""),
    ],
    articles: "",
    light: "le la les un une mon ma mes notre nos",
    light_forms: &["how-to"],
    nouns: "",
    verbs: "",
    states: "",
    same: &[&["email", "e-mail", "courriel"], &["supprimer", "effacer"]],
};
