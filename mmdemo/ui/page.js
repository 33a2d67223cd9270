// What the address of the page says: which tab, what it is about, the language, the look. The server
// writes a tab's part of it (`link.py`); here it is put into the browser's bar, and read again when
// somebody goes back.
window.mmdemo = (() => {
  const addresses = {}; // by tab: the query of what it shows
  let tab = ""; // the open one
  let first = ""; // the one that the page opens with
  let chosen = ""; // the look, if it was chosen by hand
  const open = new Set();
  let ready = false; // the server has opened what the address says
  const opening = location.search;
  const now = () => new URLSearchParams(location.search);

  const query = () => {
    const parameters = new URLSearchParams(addresses[tab] ?? `tab=${tab}`);
    const language = document.documentElement.lang;
    if (language !== document.documentElement.dataset.firstLanguage) parameters.set("lang", language);
    if (chosen) parameters.set("__theme", chosen);
    const plain = [...parameters.keys()].every((name) => name === "tab" || name === "lang");
    if (plain && tab === first) parameters.delete("tab");
    const text = parameters.toString();
    return text ? `?${text}` : location.pathname;
  };
  const write = (how) => {
    if (!ready) return;
    const wanted = query();
    if (wanted !== (location.search || location.pathname)) history[how]({}, "", wanted);
  };

  return {
    // The page is there; its tabs by their names.
    begin(names, language) {
      first = names[0];
      document.documentElement.dataset.firstLanguage = language;
      const asked = now().get("tab");
      tab = names.includes(asked) ? asked : first;
      chosen = now().get("__theme") ?? "";
      if (opening) addresses[tab] = opening;
      addEventListener("popstate", () => {
        tab = now().get("tab") ?? first;
        addresses[tab] = location.search;
        const look = now().get("__theme");
        if (look) document.body.classList.toggle("dark", look === "dark");
        chosen = look ?? "";
        document.getElementById("reopen").click();
      });
    },
    // Its fields hold what the address says: now the open tab may compute. Returns for each tab
    // whether it was opened.
    async opened(names) {
      await new Promise((done) => setTimeout(done)); // until what has changed has been told
      ready = true;
      open.add(tab);
      return names.map((name) => (open.has(name) ? "opened" : ""));
    },
    search() {
      return ready ? location.search : opening;
    },
    // A tab shows something else: what somebody typed takes the place of what was typed before.
    told(name, address) {
      if (address) addresses[name] = address;
      if (name === tab) write("replaceState");
    },
    // Somebody went to a tab, and can go back. The first one says so too when it is laid out, and
    // that is nobody's wish. Returns whether it was entered.
    entered(name) {
      if (!ready && name === first) return false;
      open.add(name);
      if (name !== tab) {
        tab = name;
        write("pushState");
      }
      return true;
    },
    spoken(language, words) {
      const root = document.documentElement;
      root.lang = language;
      root.style.setProperty("--mm-drop", JSON.stringify(words[language]));
      write("replaceState");
    },
    look() {
      chosen = document.body.classList.toggle("dark") ? "dark" : "light";
      write("replaceState");
    },
    async copy(said) {
      const place = document.getElementById("link-note");
      const own = new URLSearchParams(addresses[tab]).get("own");
      const words = said[document.documentElement.lang];
      let text = own ? words.own : words.copied;
      try {
        await navigator.clipboard.writeText(location.href);
      } catch {
        text = words.by_hand + " " + location.href; // not allowed here, as without https
      }
      place.textContent = text;
      place.hidden = false;
    },
    // Figures follow the window by themselves, but not a column that becomes narrower beside another.
    fitFigures() {
      const watch = new ResizeObserver(() => dispatchEvent(new Event("resize")));
      document.querySelectorAll(".block.mm-result").forEach((block) => watch.observe(block));
    },
  };
})();
