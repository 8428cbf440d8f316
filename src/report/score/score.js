/** Lines at once: more could not be told apart. */
const MOST_LINES = 8;
/** Lines of a pair when nothing is selected. */
const LINES_AT_REST = 3;

/** What is said beside the terms when nothing is selected. */
const HINT = "Point at a token or a term, or reach it with Tab and move with the arrow keys; Escape lets go.";

const detail = document.getElementById("detail");
const said = document.getElementById("said");
const [markShown, markJoined, markLiteral] = ["is-shown", "is-joined", "is-literal"].map(marker);

/** Each document's part of the page, with the query's tokens as they are shaded there. */
const pairs = data.documents.map(({ text, total, terms }, index) => {
  const section = document.getElementById(`document-${index + 1}`);
  const [query, joined, side] = section.querySelector(".sides").children;
  const texts = [new TokenText(query.querySelector(".shaded"), data.query), new TokenText(side.querySelector(".shaded"), text)];
  const rows = [...section.querySelectorAll(".shared tbody tr")];
  const buttons = rows.map((row) => row.querySelector("button"));
  if (rows.length > 0) rove(rows[0].parentElement, buttons, false);
  return {
    section,
    total,
    texts,
    rows,
    buttons,
    scrollers: [query, joined, side],
    summary: section.querySelector(".summary"),
    terms: terms.map(([term, weights, part, share, positions]) => ({ term, weights, part, share, positions })),
  };
});

function find(target) {
  if (!(target instanceof Element)) return null;
  if (detail.contains(target)) return undefined;
  const index = pairs.findIndex((pair) => pair.section.contains(target));
  if (index < 0) return null;
  const pair = pairs[index];
  for (const side of [0, 1]) {
    const place = pair.texts[side].places.get(target);
    if (place !== undefined) return { key: `${index} side ${side} piece ${place}`, pair, side, place, element: target };
  }
  const term = pair.rows.indexOf(target.closest("tr"));
  return term < 0 ? null : { key: `${index} term ${term}`, pair, term, element: pair.buttons[term] };
}

const SIDES = ["query", "document"];
const percent = (share) => `${(share * 100).toFixed(1)} % of the ${data.total}`;
const isProduct = data.similarity === "dot" || data.similarity === "cosine";
/** The terms that are shown: those that make the score. */
const NOUN = isProduct ? "shared term" : "term";

/** How the part of a term is made of its weight in the query and that in the document. */
const formula = {
  dot: (query, document) => `${query} × ${document}`,
  cosine: (query, document) => `${query} × ${document}`,
  euclidean: (query, document) => `(${query} − ${document})²`,
  manhattan: (query, document) => `|${query} − ${document}|`,
}[data.similarity];

/** What to say and to mark of a token. */
function piece({ pair, side, place }) {
  const text = pair.texts[side];
  const own = pair.terms.flatMap((term, index) => (text.pieceOf[term.positions[side]] === place ? [index] : []));
  const sum = own.reduce((sum, index) => sum + pair.terms[index].part, 0);
  const shared = own.length === 0 ? `no ${NOUN} came from it` : `${counted(own.length, NOUN)}, ${sum.toFixed(4)}, ${percent(pair.total > 0 ? sum / pair.total : 0)}`;
  return {
    terms: own,
    title: `${text.title(place)} in the ${SIDES[side]}`,
    summary: shared,
    shown: text.pieces[place],
    literal: [],
  };
}

/** The same of a term. */
function term({ pair, term }) {
  const { term: name, weights, part, share, positions } = pair.terms[term];
  const from = positions.map((position, side) => {
    if (position === null) return `0 (not in the ${SIDES[side]})`;
    return `${weights[side].toFixed(4)} from ${pair.texts[side].title(pair.texts[side].pieceOf[position])} in the ${SIDES[side]}`;
  });
  return {
    terms: [term],
    title: isolated(name),
    summary: `${formula(...from)} = ${part.toFixed(4)}, ${percent(share)}`,
    literal: pair.texts.flatMap((text) => text.occurrences(name)),
  };
}

/** The pieces of the query and of the document that a term came from, undefined where it is absent. */
function tokens(pair, index) {
  return pair.texts.map((text, side) => text.at(pair.terms[index].positions[side]));
}

let drawn = null;

function show(found, isSelected) {
  const shown = found && (found.place === undefined ? term(found) : piece(found));
  for (const pair of pairs) if (pair.summary) pair.summary.textContent = HINT;
  detail.classList.toggle("is-idle", !found);
  markLiteral(shown?.literal ?? []);
  markShown(shown ? [shown.shown, ...shown.terms.map((index) => found.pair.rows[index])].filter(Boolean) : []);
  const sources = (index) => tokens(found.pair, index).filter(Boolean);
  markJoined(shown ? shown.terms.flatMap(sources) : []);
  drawn = shown && { pair: found.pair, terms: shown.terms.slice(0, MOST_LINES) };
  draw();
  if (shown) {
    if (found.pair.summary) found.pair.summary.textContent = `${shown.title}: ${shown.summary}`;
    detail.replaceChildren(heading(shown.title, () => select(null)), element("p", shown.summary));
    if (shown.shown && shown.terms.length > 0) detail.append(list(found.pair, shown.terms));
    detail.scrollTop = 0;
  }
  if (!isSelected) return;
  said.textContent = shown ? `${shown.title}: ${shown.summary}` : "";
  if (shown && isWide.matches) follows(found, shown);
}

/** Brings into sight what is joined with what was selected; the columns scroll by themselves, the document does not. */
function follows({ pair, side, term }, shown) {
  if (shown.terms.length === 0) return;
  const [from, to] = tokens(pair, shown.terms[0]);
  if (term === undefined) reveal(pair.scrollers[1], pair.rows[shown.terms[0]]);
  if (side !== 0 && from) reveal(pair.scrollers[0], from);
  if (side !== 1) to?.scrollIntoView({ block: "nearest" });
}

/** Terms with their parts and shares, as in the table. */
function list(pair, indices) {
  const made = element("table");
  for (const index of indices) {
    const { term, part, share } = pair.terms[index];
    const row = made.insertRow();
    row.style.setProperty("--part", share > 0 ? share / pair.terms[0].share : 0);
    row.insertCell().textContent = part.toFixed(4);
    row.insertCell().textContent = isolated(term);
    row.insertCell().textContent = `${(share * 100).toFixed(1)} %`;
  }
  return made;
}

const lines = document.getElementById("lines");
const line = lines.querySelector("path");
const isWide = matchMedia("(min-width: 64rem)");

/** Draws the lines of what is shown, or the first few of every pair that can be seen. */
function draw() {
  const paths = [];
  if (isWide.matches) {
    if (drawn) paths.push(...drawn.terms.map((index) => path(drawn.pair, index, "")));
    else {
      for (const pair of pairs) {
        const { top, bottom } = pair.section.getBoundingClientRect();
        if (bottom < 0 || top > innerHeight) continue;
        const first = pair.terms.slice(0, LINES_AT_REST);
        paths.push(...first.map((_, index) => path(pair, index, "is-faint")));
      }
    }
  }
  lines.replaceChildren(...paths);
}

/** From the token in the query to the term's row to the token in the document, as far as there is one. */
function path(pair, index, className) {
  const [from, to] = tokens(pair, index);
  const row = pair.rows[index].getBoundingClientRect();
  const [left, middle, right] = pair.scrollers.map((scroller) => scroller.getBoundingClientRect());
  const first = (token) => token && (token.getClientRects()[0] ?? token.getBoundingClientRect());
  const [start, end] = [first(from), first(to)];
  // What is scrolled out of its column is pointed at from the column's edge.
  const within = (y, box) => Math.min(Math.max(y, box.top), box.bottom);
  const y1 = within((row.top + row.bottom) / 2, middle);
  const bend = (x0, y0, x1, y1) => `M${x0} ${y0}C${(x0 + x1) / 2} ${y0} ${(x0 + x1) / 2} ${y1} ${x1} ${y1}`;
  const made = line.cloneNode();
  const before = start ? bend(start.right, within(start.bottom, left), row.left, y1) : "";
  const after = end ? bend(row.right, y1, end.left, within(end.bottom, right)) : "";
  made.setAttribute("d", before + after);
  made.setAttribute("class", className);
  return made;
}

let isDue = false;
/** Draws anew once a frame, however often things move. */
function redraw() {
  if (isDue) return;
  isDue = true;
  requestAnimationFrame(() => {
    isDue = false;
    draw();
  });
}
addEventListener("scroll", redraw, { capture: true, passive: true });
addEventListener("resize", redraw);

const select = follow(find, show);
show(null, false);
