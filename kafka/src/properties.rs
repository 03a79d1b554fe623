//! Client properties: an allow-list, with Java's names translated.
