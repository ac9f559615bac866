/** A product that a new catalog begins with; prices in minor units. */
export interface SeedProduct {
  readonly id: string;
  readonly category: string;
  readonly name: string;
  readonly grams: number;
  readonly eur: number;
  readonly usd: number;
  readonly description: string;
}

type Line = readonly [id: string, name: string, grams: number, eur: number, usd: number, description: string];

const shelves: Readonly<Record<string, readonly Line[]>> = {
  tea: [
    [
      "tea-sencha",
      "Morning Sencha",
      100,
      1290,
      1390,
      "Steamed green tea from the first spring picking, bright and grassy.",
    ],
    ["tea-gyokuro", "Shade Gyokuro", 50, 2890, 3090, "Green tea grown three weeks under straw; deep, sweet and rare."],
    ["tea-hojicha", "Hearth Hojicha", 100, 990, 1090, "Green tea roasted over charcoal until it tastes of nuts."],
    ["tea-assam", "River Assam", 125, 890, 990, "Strong black tea with malt, made for milk."],
    [
      "tea-darjeeling",
      "First Flush Darjeeling",
      100,
      1690,
      1790,
      "Light black tea from high gardens, with a scent of muscat.",
    ],
    ["tea-oolong", "Iron Kettle Oolong", 75, 1890, 1990, "Half oxidised and rolled tight; opens over seven infusions."],
    ["tea-white", "Silver Bud White", 40, 2190, 2290, "Unopened buds, dried in the sun and left alone."],
    ["tea-rooibos", "Cape Rooibos", 150, 690, 790, "Red bush leaves, sweet by themselves and free of caffeine."],
    ["tea-mint", "Garden Mint", 80, 590, 690, "Peppermint and spearmint, cut before noon."],
  ],
  coffee: [
    ["coffee-harbour", "Harbour Espresso", 250, 1090, 1190, "Dark blend with cocoa and little acid."],
    ["coffee-highland", "Highland Filter", 250, 1290, 1390, "Washed beans from one valley; tastes of apricot and tea."],
    ["coffee-natural", "Sun Dried Natural", 250, 1490, 1590, "Dried in the whole fruit: blueberry, loud and proud."],
    ["coffee-decaf", "Quiet Evening Decaf", 250, 1190, 1290, "Freed of caffeine with mountain water and nothing else."],
    ["coffee-peaberry", "Lone Peaberry", 250, 1690, 1790, "Single round beans picked out by hand."],
    ["coffee-cold", "Cold Brew Bags", 300, 990, 1090, "Five coarse ground bags, each for a litre overnight."],
    [
      "coffee-monsoon",
      "Monsoon Beans",
      250,
      1390,
      1490,
      "Beans that spent a season in wet wind; heavy and low in acid.",
    ],
    [
      "coffee-kiosk",
      "Kiosk Blend",
      1000,
      2990,
      3190,
      "A kilo of the blend that the corner kiosk has poured for years.",
    ],
  ],
  chocolate: [
    ["chocolate-70", "Seventy", 80, 490, 550, "Dark chocolate of three ingredients, seventy parts cocoa."],
    ["chocolate-85", "Eighty Five", 80, 520, 590, "Dark chocolate for those who like it stern."],
    ["chocolate-milk", "Alpine Milk", 80, 450, 490, "Milk chocolate with hay milk and a pinch of salt."],
    ["chocolate-hazelnut", "Whole Hazelnut", 100, 590, 650, "Roasted hazelnuts standing close in milk chocolate."],
    ["chocolate-orange", "Candied Orange", 90, 620, 690, "Orange peel, candied for a week, in dark chocolate."],
    ["chocolate-nibs", "Cocoa Nibs", 150, 790, 850, "Broken roasted cocoa beans, for baking and for chewing."],
    ["chocolate-drinking", "Drinking Chocolate", 250, 890, 950, "Shaved dark chocolate that melts in hot milk."],
    [
      "chocolate-caramel",
      "Salted Caramels",
      120,
      990,
      1090,
      "Twelve soft caramels with sea salt under a thin dark shell.",
    ],
  ],
  spice: [
    ["spice-pepper", "Long Pepper", 40, 690, 750, "Slender catkins, warmer and sweeter than round pepper."],
    ["spice-saffron", "Saffron Threads", 1, 990, 1090, "One gram of threads, dried the day they were picked."],
    ["spice-paprika", "Smoked Paprika", 75, 490, 550, "Red peppers smoked over oak for two weeks."],
    ["spice-cinnamon", "True Cinnamon", 50, 590, 650, "Thin curled bark, soft enough to crumble by hand."],
    ["spice-cardamom", "Green Cardamom", 45, 790, 850, "Whole pods, for coffee, rice and buns."],
    ["spice-vanilla", "Vanilla Pods", 10, 1290, 1390, "Three oily pods that smell through the glass."],
    ["spice-sumac", "Sumac", 80, 450, 490, "Sour red berries, ground coarse; for salads and eggs."],
    ["spice-harissa", "Rose Harissa", 110, 650, 720, "Chilli paste with rose petals, hot at the second thought."],
  ],
  pantry: [
    ["pantry-honey", "Linden Honey", 350, 890, 990, "Honey from town lindens, with a touch of mint."],
    [
      "pantry-olive-oil",
      "Early Olive Oil",
      500,
      1890,
      1990,
      "Pressed from green olives within six hours; bites at the back.",
    ],
    ["pantry-marmalade", "Bitter Marmalade", 280, 650, 720, "Bitter oranges in thick cut, cooked in copper."],
    ["pantry-tahini", "Stone Tahini", 300, 720, 790, "Sesame, hulled and milled between stones."],
    ["pantry-miso", "Barley Miso", 400, 990, 1090, "Two years in cedar; salty, round and alive."],
    ["pantry-vinegar", "Cider Vinegar", 500, 590, 650, "From windfall apples, unfiltered, with its mother."],
    ["pantry-lentils", "Black Lentils", 500, 390, 450, "Small lentils that keep their shape and shine."],
    ["pantry-pasta", "Bronze Pasta", 500, 350, 420, "Durum wheat drawn through bronze and dried for two days."],
    ["pantry-salt", "Flake Salt", 125, 490, 550, "Hollow pyramids from a shallow bay."],
  ],
  kitchen: [
    [
      "kitchen-kettle",
      "Gooseneck Kettle",
      950,
      5900,
      6400,
      "Steel kettle with a thin spout that pours where you look.",
    ],
    ["kitchen-teapot", "Clay Teapot", 420, 4200, 4500, "Unglazed clay for four cups; it remembers the tea."],
    [
      "kitchen-grinder",
      "Hand Grinder",
      560,
      8900,
      9500,
      "Conical steel burrs and thirty clicks from espresso to press.",
    ],
    ["kitchen-dripper", "Paper Dripper", 280, 2400, 2600, "Porcelain cone with spiral ribs."],
    ["kitchen-whisk", "Bamboo Whisk", 30, 1900, 2100, "Eighty tines cut from one piece, for matcha."],
    ["kitchen-scale", "Pour Scale", 480, 3900, 4200, "Weighs to a tenth of a gram and counts the seconds."],
    ["kitchen-mug", "Speckled Mug", 340, 1800, 1950, "Stoneware mug that holds three decilitres and the heat."],
    ["kitchen-knife", "Paring Knife", 90, 3400, 3600, "Carbon steel, short and honest; oil it and it stays."],
    ["kitchen-board", "Oak Board", 1400, 4400, 4700, "End grain oak, kind to edges."],
  ],
  paper: [
    ["paper-notebook", "Dotted Notebook", 310, 1600, 1750, "Thread bound, lies flat, takes ink without a murmur."],
    ["paper-pencils", "Cedar Pencils", 70, 900, 990, "A dozen pencils of soft cedar in four grades."],
    ["paper-ink", "Night Ink", 140, 1400, 1500, "Blue black ink that darkens as it dries."],
    ["paper-cards", "Letterpress Cards", 160, 1200, 1300, "Eight folded cards with a pattern you can feel."],
    ["paper-wrap", "Wrapping Sheets", 220, 800, 890, "Five printed sheets, strong enough to use twice."],
    ["paper-calendar", "Wall Calendar", 380, 1900, 2050, "Twelve months of harbours, drawn and not photographed."],
  ],
  garden: [
    ["garden-basil", "Basil Seeds", 3, 290, 350, "Large leaved basil; sow warm, pinch often."],
    ["garden-tomato", "Heirloom Tomato Seeds", 2, 320, 390, "Ribbed red tomatoes that split if you look away."],
    ["garden-chilli", "Lantern Chilli Seeds", 2, 320, 390, "Orange, wrinkled and very hot."],
    ["garden-trowel", "Ash Trowel", 290, 2200, 2400, "Forged blade, ash handle, a lifetime of holes."],
    ["garden-twine", "Jute Twine", 210, 690, 750, "Two hundred metres in a tin with a cutter."],
    ["garden-pot", "Terracotta Pot", 1150, 1100, 1200, "Hand thrown pot that breathes; twenty centimetres."],
    ["garden-can", "Copper Can", 780, 5400, 5800, "Small watering can with a long neck for windowsills."],
  ],
};

/** What a new catalog begins with. Part of a migration: once released it does not change. */
export const seedProducts: readonly SeedProduct[] = Object.entries(shelves).flatMap(([category, lines]) =>
  lines.map(([id, name, grams, eur, usd, description]) => ({ id, category, name, grams, eur, usd, description })),
);
