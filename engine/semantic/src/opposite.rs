//! Words that turn a question round: not, without, more, less, before, after, enable, disable, and their like.
//!
//! In: a word. Out: the group it belongs to. Questions are compared only where they have the same of each group, counted before
//! anything is left out or exchanged; so a mistake in a language's tables cannot drop a `not`. The lists are of several
//! languages at once, since a word too many costs a hit and a word too few may cost a wrong answer.

use std::sync::LazyLock;

use hashbrown::HashMap;

/// Groups: what each is called, and its words in lower case.
const GROUPS: &[(&str, &str)] = &[
    (
        "not",
        "not no non nor neither cannot nicht kein keine keinen keinem keiner weder noch ne pas aucun aucune ni ningún ninguno ninguna niet geen não nem nessuno nessuna",
    ),
    ("never", "never nie niemals jamais nunca jamás mai nooit"),
    ("nothing", "nothing nobody none nowhere nichts niemand rien personne nada nadie niente niets"),
    ("without", "without ohne sans sin senza zonder sem"),
    (
        "except",
        "except excluding unless besides außer ausgenommen sauf excepté excepto salvo eccetto behalve exceto",
    ),
    ("instead", "instead rather statt anstatt plutôt vez invece"),
    ("hardly", "hardly barely scarcely rarely seldom kaum selten rarement raramente"),
    (
        "only",
        "only solely exclusively nur ausschließlich seulement uniquement solo solamente únicamente soltanto alleen apenas",
    ),
    (
        "every",
        "every all each alle jeder jede jedes tous toutes chaque todos todas cada tutti tutte",
    ),
    (
        "before",
        "before prior earlier until till bevor vor vorher bis avant jusque antes hasta prima fino",
    ),
    ("after", "after later since afterwards nach nachdem seit après depuis después desde dopo da"),
    (
        "more",
        "more most greater higher bigger larger mehr meiste höher größer plus más mayor più maggiore mais",
    ),
    (
        "less",
        "less least fewer fewest lower smaller weniger wenigste niedriger kleiner moins menos menor meno minore",
    ),
    ("above", "above over exceeding beyond über oberhalb dessus encima sopra"),
    ("below", "below under beneath unter unterhalb dessous debajo sotto"),
    ("max", "max maximum maximal highest largest biggest longest höchste größte máximo massimo"),
    ("min", "min minimum minimal lowest smallest shortest niedrigste kleinste mínimo minimo"),
    (
        "increase",
        "increase raise grow rise add increasing erhöhen steigern augmenter aumentar aumentare",
    ),
    (
        "decrease",
        "decrease reduce shrink fall subtract lower decreasing senken verringern réduire diminuer reducir disminuir ridurre",
    ),
    (
        "enable",
        "enable activate allow permit on aktivieren einschalten erlauben activer autoriser activar permitir attivare",
    ),
    (
        "disable",
        "disable deactivate block forbid prevent off deaktivieren ausschalten verbieten désactiver interdire desactivar prohibir disattivare",
    ),
    (
        "start",
        "start begin open beginnen starten öffnen commencer ouvrir empezar abrir iniziare aprire",
    ),
    (
        "stop",
        "stop end finish close quit beenden schließen aufhören arrêter fermer terminar cerrar parar fermare chiudere",
    ),
    ("buy", "buy purchase kaufen acheter comprar comprare"),
    ("sell", "sell verkaufen vendre vender vendere"),
    ("deny", "deny reject decline refuse ablehnen refuser rechazar rifiutare"),
    ("approve", "approve accept genehmigen annehmen accepter aceptar accettare"),
    ("best", "best better beste besser meilleur mieux mejor migliore"),
    ("worst", "worst worse schlechteste schlechter pire peor peggio"),
    ("safe", "safe legal true right correct sicher richtig sûr vrai seguro verdadero sicuro"),
    (
        "unsafe",
        "unsafe illegal impossible false wrong incorrect unsicher unmöglich falsch dangereux faux inseguro falso insicuro",
    ),
    ("import", "import upload inbound incoming send senden envoyer enviar"),
    ("export", "export download outbound outgoing receive empfangen recevoir recibir"),
    ("inside", "inside internal include including innen dentro dedans"),
    ("outside", "outside external exclude außen fuera dehors"),
    ("first", "first erste ersten premier première primero primera primo"),
    ("last", "last final letzte letzten dernier dernière último última ultimo"),
    ("left", "left links gauche izquierda sinistra"),
    ("right side", "rechts droite derecha destra"),
    ("from", "from von aus depuis desde"),
    ("to", "into zu hacia verso"),
    ("and", "and und et y e"),
    ("or", "or oder ou o"),
    ("but", "but aber mais pero"),
    ("whether", "whether wenn falls si"),
];

/// Groups by word; a word of two groups is in the first.
static BY_WORD: LazyLock<HashMap<&'static str, u8>> = LazyLock::new(|| {
    let mut by_word = HashMap::new();
    for ((_, words), group) in GROUPS.iter().zip(0_u8..) {
        for word in words.split_ascii_whitespace() {
            by_word.entry(word).or_insert(group);
        }
    }
    by_word
});

/// The group that `word`, in lower case, belongs to.
#[must_use]
pub fn group(word: &str) -> Option<u8> {
    if word.ends_with("n't") {
        return Some(0);
    }
    BY_WORD.get(word).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opposites_are_in_different_groups() {
        for (one, other) in [
            ("before", "after"),
            ("more", "less"),
            ("max", "min"),
            ("increase", "decrease"),
            ("enable", "disable"),
            ("approve", "deny"),
            ("buy", "sell"),
            ("safe", "unsafe"),
            ("mit", "ohne"),
            ("sí", "no"),
            ("on", "off"),
            ("above", "below"),
            ("can", "can't"),
        ] {
            assert_ne!(group(one), group(other), "{one} | {other}");
        }
        assert_eq!(group("isn't"), group("not"));
        assert!(GROUPS.len() < usize::from(u8::MAX));
    }
}
