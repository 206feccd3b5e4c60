//! The words that names are made of, by script.

/// How a name is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// English.
    English,
    /// Other languages in Latin letters with diacritics.
    Diacritics,
    /// Russian.
    Cyrillic,
    /// Japanese and Chinese.
    Cjk,
    /// Korean.
    Hangul,
    /// Greek.
    Greek,
    /// Arabic, from right to left.
    Arabic,
}

/// Words of one script.
pub struct Words {
    /// For titles.
    pub title: &'static [&'static str],
    /// For given names.
    pub given: &'static [&'static str],
    /// For invented family names.
    pub syllables: &'static [&'static str],
    /// What stands between the words.
    pub space: &'static str,
}

impl Script {
    /// The script of a part `share` in 0..1 of the music.
    pub fn of_share(share: f64) -> Self {
        match share {
            ..0.42 => Self::English,
            ..0.60 => Self::Diacritics,
            ..0.82 => Self::Cyrillic,
            ..0.89 => Self::Cjk,
            ..0.92 => Self::Hangul,
            ..0.96 => Self::Greek,
            _ => Self::Arabic,
        }
    }

    /// Its words.
    pub fn words(self) -> &'static Words {
        match self {
            Self::English => &ENGLISH,
            Self::Diacritics => &DIACRITICS,
            Self::Cyrillic => &CYRILLIC,
            Self::Cjk => &CJK,
            Self::Hangul => &HANGUL,
            Self::Greek => &GREEK,
            Self::Arabic => &ARABIC,
        }
    }
}

#[rustfmt::skip]
static ENGLISH: Words = Words {
    title: &[
        "Midnight", "Rain", "Summer", "Love", "Heart", "Fire", "Shadow", "Dream", "Night", "Light", "River", "Ocean",
        "Golden", "Broken", "Silver", "Wild", "Lonely", "Electric", "Paper", "Velvet", "Neon", "Crystal", "Empty",
        "Dancing", "Falling", "Running", "Burning", "Waiting", "Forever", "Tonight", "Tomorrow", "Yesterday", "Again",
        "City", "Street", "Highway", "Mountain", "Desert", "Sky", "Moon", "Star", "Sun", "Thunder", "Storm", "Snow",
        "Blue", "Red", "Black", "White", "Green", "Baby", "Girl", "Boy", "King", "Queen", "Angel", "Devil", "Ghost",
        "Money", "Power", "Freedom", "Home", "Train", "Radio", "Mirror", "Window", "Garden", "Rose", "Whiskey",
        "Don't", "Can't", "Gonna", "Never", "Always", "Without", "You", "Me", "Us", "Down", "Up", "Away", "Inside",
        "Hold", "Let", "Go", "Stay", "Leave", "Kiss", "Cry", "Lost", "Found", "Sweet", "Bitter", "Last", "First",
    ],
    given: &[
        "John", "Mary", "Johnny", "Ella", "Sam", "Nina", "Billy", "Grace", "Jack", "Amy", "Charlie", "Ruby", "Otis",
        "Dolly", "Marvin", "Etta", "Leo", "Joan", "Frank", "Lucy", "DJ", "MC", "Lil", "Big", "Young", "Saint",
    ],
    syllables: &[
        "ber", "cal", "dan", "ed", "far", "gil", "har", "is", "jen", "kel", "lan", "mar", "nor", "ol", "per", "quin",
        "ros", "son", "ton", "ver", "wil", "ley", "man", "den", "sey", "ford", "win", "mor", "ston", "ard", "ro", "vi",
    ],
    space: " ",
};

#[rustfmt::skip]
static DIACRITICS: Words = Words {
    title: &[
        "Été", "Cœur", "Déjà", "Garçon", "Forêt", "Âme", "Rêve", "Noël", "Où", "Fenêtre", "Corazón", "Niño", "Canción",
        "Mañana", "Pasión", "Coração", "Saudade", "Ilusão", "Não", "Über", "Mädchen", "Träume", "Schöne", "Straße",
        "Grüße", "Świat", "Miłość", "Noc", "Księżyc", "Gwiazda", "Żal", "Aşk", "Güneş", "Gözlerin", "Yağmur", "Şarkı",
        "Kärlek", "Sjö", "Första", "Måne", "Blå", "Láska", "Příběh", "Světlo", "Černá", "Szív", "Szerelem", "Őszi",
        "Mùa", "Người", "Đêm", "Yêu", "La", "El", "Le", "Die", "Sin", "Bez",
    ],
    given: &[
        "José", "Zoë", "André", "Renée", "Björn", "Søren", "Łukasz", "Małgorzata", "Jürgen", "Hélène", "Núria",
        "João", "Inês", "Çağla", "İbrahim", "Štěpán", "Živa", "Márton", "Åsa", "Øyvind", "Thảo", "Mötley", "Señor",
    ],
    syllables: &[
        "bé", "ça", "dö", "él", "fü", "gő", "hå", "ín", "jó", "kř", "la", "mé", "ño", "ör", "pá", "ré", "ső", "tü",
        "ún", "ví", "wę", "yş", "zé", "ska", "ner", "lund", "ek", "ic", "oğlu", "son", "ard", "ier",
    ],
    space: " ",
};

#[rustfmt::skip]
static CYRILLIC: Words = Words {
    title: &[
        "Ночь", "Любовь", "Дождь", "Сердце", "Звезда", "Небо", "Море", "Дорога", "Город", "Весна", "Осень", "Зима",
        "Лето", "Мама", "Душа", "Огонь", "Снег", "Ветер", "Солнце", "Луна", "Белый", "Чёрный", "Синий", "Последний",
        "Первый", "Мой", "Моя", "Твои", "Глаза", "Поезд", "Москва", "Питер", "Не", "Забывай", "Прощай", "Вернись",
        "Танцуй", "Без", "Тебя", "Вдвоём", "Один", "Домой", "Завтра", "Вчера", "Навсегда", "Ещё", "Песня", "Вальс",
    ],
    given: &[
        "Анна", "Алла", "Борис", "Виктор", "Валерий", "Григорий", "Дима", "Елена", "Жанна", "Игорь", "Ирина", "Кирилл",
        "Лев", "Михаил", "Надежда", "Ольга", "Пётр", "Сергей", "Тимур", "Юрий", "Группа", "Хор", "Семён",
    ],
    syllables: &[
        "ба", "ве", "го", "дро", "жу", "зи", "ка", "ло", "ми", "но", "пе", "ри", "со", "ту", "фё", "хо", "ци", "ша",
        "ев", "ов", "ин", "ский", "ко", "чук", "ян", "дзе", "ва", "на", "лин", "мов", "рев", "тин",
    ],
    space: " ",
};

#[rustfmt::skip]
static CJK: Words = Words {
    title: &[
        "夜", "愛", "夢", "星", "空", "花", "雨", "海", "月", "風", "桜", "恋", "涙", "光", "影", "旅", "春", "夏", "秋", "冬",
        "東京", "世界", "未来", "永遠", "青春", "さよなら", "ありがとう", "キミ", "ボク", "ラブ", "ハート", "ダンス", "メロディー",
        "我", "你", "的", "不", "了", "心", "天", "想", "北京", "朋友", "月亮", "故事", "时间", "告白", "晴天",
    ],
    given: &[
        "宇多", "椎名", "米津", "中島", "松任", "周", "陈", "林", "王", "张", "李", "刘", "邓", "五月", "初音", "上原", "ザ・",
    ],
    syllables: &[
        "田", "林", "木", "山", "川", "美", "子", "玄", "師", "み", "ゆ", "き", "ヒ", "カ", "ル", "杰", "伦", "奕", "迅", "丽",
        "君", "天", "明", "俊", "华", "雅", "音", "里", "沙", "希",
    ],
    space: "",
};

#[rustfmt::skip]
static HANGUL: Words = Words {
    title: &[
        "사랑", "밤", "별", "하늘", "바다", "봄날", "눈", "비", "꽃", "마음", "이별", "그대", "너", "나", "우리", "안녕", "오늘", "내일",
        "꿈", "길", "바람", "기억", "첫눈", "서울",
    ],
    given: &["김", "이", "박", "최", "정", "강", "조", "윤", "장", "임", "소녀", "방탄"],
    syllables: &[
        "민", "지", "수", "현", "우", "진", "영", "호", "아", "유", "태", "연", "준", "서", "윤", "은", "혜", "빈", "석", "희", "찬", "솔",
    ],
    space: " ",
};

#[rustfmt::skip]
static GREEK: Words = Words {
    title: &[
        "Αγάπη", "Νύχτα", "Θάλασσα", "Καρδιά", "Ήλιος", "Φεγγάρι", "Όνειρο", "Μάτια", "Βροχή", "Ζωή", "Ουρανός", "Δρόμος",
        "Μόνος", "Πάλι", "Χωρίς", "Εσένα", "Σ'", "Αγαπώ", "Τραγούδι", "Αθήνα", "Καλοκαίρι", "Ψέματα", "Φωτιά", "Τέλος",
    ],
    given: &["Γιώργος", "Μαρία", "Νίκος", "Ελένη", "Γιάννης", "Άννα", "Κώστας", "Δήμητρα", "Στέλιος", "Χάρις"],
    syllables: &[
        "πα", "δο", "κα", "λη", "μη", "νι", "ρο", "σα", "τσι", "φω", "χα", "βα", "γε", "θε", "άκης", "όπουλος", "ίδης", "ου",
    ],
    space: " ",
};

#[rustfmt::skip]
static ARABIC: Words = Words {
    title: &[
        "حبيبي", "ليلة", "قلبي", "القمر", "نور", "العين", "يا", "ليل", "أنا", "انت", "عمري", "الدنيا", "بحبك", "سلام", "شمس",
        "البحر", "وردة", "حلم", "غربة", "سنين", "بدي", "قصة", "أهواك", "مطر",
    ],
    given: &["محمد", "أم", "فيروز", "عمرو", "نانسي", "كاظم", "وردة", "حسين", "إليسا", "عبد"],
    syllables: &["با", "دي", "را", "سا", "عا", "كل", "مو", "نا", "هي", "وا", "يا", "ال", "شر", "حم", "طا", "فر"],
    space: " ",
};

/// Symbols that people put into names.
pub static SYMBOLS: &[&str] = &["🔥", "❤️", "🌙", "✨", "💔", "🎶", "☆", "♪", "👩‍🎤", "™"];

/// Every genre that the catalogue can name, the common ones first.
#[rustfmt::skip]
pub static GENRES: &[&str] = &[
    "pop", "rap", "rock", "electronics", "dance", "hip-hop", "indie", "alternative", "ruspop", "rusrap", "rusrock", "foreignrap",
    "house", "techno", "metal", "jazz", "classical", "soundtrack", "folk", "rnb", "soul", "punk", "reggae", "latin", "blues",
    "country", "ambient", "trance", "drum & bass", "dubstep", "lounge", "new age", "shanson", "estrada", "k-pop", "j-pop",
    "disco", "funk", "hardcore", "post-rock", "prog rock", "hard rock", "classic metal", "black metal", "death metal",
    "folk metal", "metalcore", "grunge", "shoegaze", "synth-pop", "new wave", "post-punk", "experimental", "noise", "idm",
    "trip-hop", "downtempo", "chillout", "phonk", "hyperpop", "edm", "uk garage", "bass", "breakbeat", "industrial",
    "modern jazz", "bebop", "swing", "big bands", "vocal jazz", "opera", "choral", "chamber music", "symphony", "piano",
    "guitar", "film music", "musicals", "video game", "anime", "children", "lullabies", "fairy tales", "audiobooks", "podcasts",
    "meditation", "nature sounds", "spoken word", "comedy", "holiday", "christmas", "religious", "gospel", "bard songs",
    "romances", "tango", "flamenco", "bossa nova", "samba", "salsa", "reggaeton", "cumbia", "fado", "chanson", "schlager",
    "celtic", "balkan", "klezmer", "arabesque", "turkish pop", "arabic pop", "bollywood", "afrobeat", "amapiano", "dancehall",
    "ska", "dub", "rockabilly", "rock'n'roll", "surf", "singer-songwriter", "americana", "bluegrass", "Ελληνική", "アニメ",
];
