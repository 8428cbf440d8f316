const data = JSON.parse(document.getElementById("data").textContent);

/** An element with this text and class; a text from outside never becomes HTML. */
function element(name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** A term or token in a sentence, which it does not turn when it runs from right to left. */
function isolated(name) {
  return `\u2066${name}\u2069`;
}

function counted(count, noun) {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * The title of what is selected, and a button that lets go of it: where the details cover the page there may be no
 * Escape key.
 */
function heading(title, close) {
  const button = element("button", "Close", "close");
  button.type = "button";
  button.addEventListener("click", close);
  const made = element("h2");
  made.append(button, title);
  return made;
}

/** Scrolls what scrolls by itself, and not the page, until a part of it is in sight below its sticky head. */
function reveal(scroller, part) {
  const [box, seen] = [part.getBoundingClientRect(), scroller.getBoundingClientRect()];
  if (box.top < seen.top + 2 * box.height || box.bottom > seen.bottom) {
    scroller.scrollTop += (box.top + box.bottom - seen.top - seen.bottom) / 2;
  }
}

/** Marks elements with a class until the next call. */
function marker(className) {
  let marked = [];
  return (elements) => {
    for (const old of marked) old.classList.remove(className);
    marked = [...elements];
    for (const one of marked) one.classList.add(className);
  };
}

/**
 * Makes one stop of the Tab key of many elements: the arrows, Home and End move among them.
 *
 * `beside`: whether the elements stand beside each other, in lines, as the words of a text do; else one is a line.
 */
function rove(container, items, beside) {
  if (items.length === 0) return;
  const places = new Map(items.map((item, place) => [item, place]));
  let stop = items[0];
  const moveStop = (item) => {
    stop.tabIndex = -1;
    stop = item;
    stop.tabIndex = 0;
  };
  // A button is a stop of its own until it is told otherwise.
  if (!beside) for (const item of items) item.tabIndex = -1;
  moveStop(stop);
  container.addEventListener("focusin", (event) => {
    if (places.has(event.target)) moveStop(event.target);
  });
  container.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || !places.has(event.target)) return;
    const place = places.get(event.target);
    const forward = beside && getComputedStyle(event.target.parentElement).direction === "rtl" ? -1 : 1;
    const lines = { ArrowUp: -1, ArrowDown: 1 };
    const steps = { Home: -place, End: items.length - 1 - place };
    if (beside) Object.assign(steps, { ArrowLeft: -forward, ArrowRight: forward });
    let to;
    if (event.key in steps) to = items[place + steps[event.key]];
    else if (event.key in lines) {
      to = beside ? inNextLine(items, place, lines[event.key]) : items[place + lines[event.key]];
    } else return;
    event.preventDefault();
    if (to) {
      to.tabIndex = -1;
      to.focus();
    }
  });
}

/** The item of the line above (-1) or below (1) that is nearest to the one at `place`. */
function inNextLine(items, place, step) {
  const box = (item) => item.getClientRects()[0] ?? item.getBoundingClientRect();
  const from = box(items[place]);
  const middle = (from.left + from.right) / 2;
  let nearest, distance, line;
  for (let at = place + step; at in items; at += step) {
    const rect = box(items[at]);
    // The parts of a line differ in height by what scripts they are in, not by half a line.
    if (line === undefined && Math.abs(rect.top - from.top) < from.height / 2) continue;
    line ??= rect.top;
    if (Math.abs(rect.top - line) >= from.height / 2) break;
    const off = Math.abs((rect.left + rect.right) / 2 - middle);
    if (distance === undefined || off < distance) [nearest, distance] = [items[at], off];
  }
  return nearest;
}

/** The pieces of a text on the page, and which tokens they stand for. */
class TokenText {
  constructor(container, { tokens, pieces }) {
    this.container = container;
    this.tokens = tokens;
    this.firsts = pieces;
    this.pieces = [...container.querySelectorAll(".text span, .added span")];
    this.places = new Map(this.pieces.map((piece, place) => [piece, place]));
    this.pieceOf = [];
    pieces.forEach((first, place) => {
      for (let at = first; at < (pieces[place + 1] ?? tokens.length); at++) this.pieceOf[at] = place;
    });
    container.setAttribute("role", "group");
    rove(container, this.pieces, true);
  }

  /** The piece that shows the token at a position. */
  at(position) {
    return this.pieces[this.pieceOf[position]];
  }

  /** The names of a piece's tokens. */
  names(place) {
    return this.tokens.slice(this.firsts[place], this.firsts[place + 1]).map(isolated).join(" ");
  }

  /** The pieces with a token that is a term itself. */
  occurrences(term) {
    const found = [];
    this.tokens.forEach((token, position) => {
      if (token === term) found.push(this.at(position));
    });
    return found;
  }

  /** How a piece is called: by its characters, quoted where they are the text's own. */
  title(place) {
    const piece = this.pieces[place];
    return piece.parentElement.classList.contains("added") ? piece.textContent : `“${isolated(piece.textContent)}”`;
  }
}

/**
 * Follows the pointer, the focus and Escape over what can be shown.
 *
 * `find`: what there is to show for an element, as an object with a `key` that tells it apart and the `element` that
 * takes the focus; null for none, undefined where nothing is to change. `show`: shows it, or nothing for null; its
 * second argument is whether it is selected, and not only pointed at.
 */
function follow(find, show) {
  let selected = null;
  let shown = null;
  let isPressed = false;
  // Where the pointer was last. A click has whole pixels, other events have parts of them.
  let pointer = "";
  const placeOf = (event) => `${Math.floor(event.clientX)} ${Math.floor(event.clientY)}`;
  const turnTo = (found, selects) => {
    if (selects) selected = found;
    else if (found?.key === shown?.key) return;
    shown = found;
    show(found, selects);
  };
  document.addEventListener("pointerover", (event) => {
    const place = placeOf(event);
    // A finger that scrolls points at nothing, nor does a pointer that the page moves under.
    if (event.pointerType === "touch" || place === pointer) return;
    pointer = place;
    const found = find(event.target);
    if (found !== undefined) turnTo(found ?? selected, false);
  });
  document.documentElement.addEventListener("pointerleave", () => turnTo(selected, false));
  // A press gives the focus before it is a click: what was to be clicked must not have moved away by then.
  document.addEventListener("pointerdown", () => (isPressed = true));
  for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => (isPressed = false));
  document.addEventListener("focusin", (event) => {
    const found = isPressed ? null : find(event.target);
    if (found) turnTo(found, true);
  });
  document.addEventListener("click", (event) => {
    // By the keys it has no place.
    if (event.detail > 0) pointer = placeOf(event);
    // A button that was replaced by what it did.
    if (!event.target.isConnected) return;
    const found = find(event.target);
    if (found === undefined) return;
    if (found) {
      if (!found.element.hasAttribute("tabindex")) found.element.tabIndex = -1;
      found.element.focus({ preventScroll: true });
    }
    if (found?.key !== selected?.key) turnTo(found, true);
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") turnTo(null, true);
  });
  return (found) => turnTo(found, true);
}
