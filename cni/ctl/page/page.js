// The page of `podfencectl graph -o html`. The graph is drawn already; here: moving about, filters, and the panel.
// Names come from the cluster: they are only ever put in by textContent.
'use strict';
(() => {
  const get = (id) => document.getElementById(id);
  const data = JSON.parse(get('data').textContent);
  const graph = get('graph');
  const verdicts = ['forwarded', 'dropped', 'audit'];
  const nodes = [...graph.querySelectorAll('.node')];
  const edges = [...graph.querySelectorAll('.edge')];
  const whole = graph.viewBox.baseVal;
  const all = { x: whole.x, y: whole.y, width: whole.width, height: whole.height };
  const places = new Map(data.nodes.map((node, i) => [node.id, i]));
  const ends = data.edges.map((edge) => [places.get(edge.source), places.get(edge.destination)]);

  const nameOf = (i) => {
    const node = data.nodes[i];
    if (node.kind === 'reserved')
      return node.name;
    return (node.kind === 'node' ? 'node' : node.group) + '/' + node.name;
  };

  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className)
      element.className = className;
    if (text !== undefined)
      element.textContent = text;
    return element;
  };

  const number = (value) => value.toLocaleString('en');
  const time = (text) => text.slice(0, 19).replace('T', ' ') + ' UTC';

  // ---- moving about

  let view = { ...all };
  const show = () => graph.setAttribute('viewBox', `${view.x} ${view.y} ${view.width} ${view.height}`);
  const scale = () => {
    const box = graph.getBoundingClientRect();
    return Math.max(view.width / box.width, view.height / box.height);
  };
  const zoom = (factor, at) => {
    const next = Math.min(Math.max(view.width * factor, 160), all.width * 4);
    const by = next / view.width;
    const point = at || { x: view.x + view.width / 2, y: view.y + view.height / 2 };
    view = {
      x: point.x - (point.x - view.x) * by, y: point.y - (point.y - view.y) * by,
      width: next, height: view.height * by,
    };
    show();
  };
  const fit = (which) => {
    if (!which || !which.length) {
      view = { ...all };
      return show();
    }
    const boxes = which.map((node) => node.getBBox());
    const x = Math.min(...boxes.map((b) => b.x)), y = Math.min(...boxes.map((b) => b.y));
    const right = Math.max(...boxes.map((b) => b.x + b.width));
    const bottom = Math.max(...boxes.map((b) => b.y + b.height));
    const width = Math.max(right - x + 240, 640), height = Math.max(bottom - y + 200, 400);
    view = { x: (x + right - width) / 2, y: (y + bottom - height) / 2, width, height };
    return show();
  };
  const pointOf = (event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(graph.getScreenCTM().inverse());

  graph.addEventListener('wheel', (event) => {
    event.preventDefault();
    zoom(Math.exp(Math.min(Math.max(event.deltaY, -120), 120) * 0.0022), pointOf(event));
  }, { passive: false });

  let drag = null;
  graph.addEventListener('pointerdown', (event) => {
    if (event.button === 0)
      drag = { x: event.clientX, y: event.clientY, view: { ...view }, moved: false };
  });
  graph.addEventListener('pointermove', (event) => {
    if (!drag)
      return;
    const dx = event.clientX - drag.x, dy = event.clientY - drag.y;
    if (!drag.moved && Math.hypot(dx, dy) < 5)
      return;
    if (!drag.moved)
      graph.setPointerCapture(event.pointerId);
    drag.moved = true;
    graph.classList.add('moving');
    view = { ...drag.view, x: drag.view.x - dx * scale(), y: drag.view.y - dy * scale() };
    show();
  });
  const release = () => {
    const moved = drag && drag.moved;
    drag = null;
    graph.classList.remove('moving');
    return moved;
  };
  graph.addEventListener('pointercancel', release);
  get('in').addEventListener('click', () => zoom(0.75));
  get('out').addEventListener('click', () => zoom(1 / 0.75));
  get('fit').addEventListener('click', () => fit());

  // ---- what is near

  const clear = (className) => graph.querySelectorAll('.' + className).forEach((e) => e.classList.remove(className));
  const focusOn = (wantedNode, wantedEdge) => {
    clear('near');
    const some = wantedNode !== null || wantedEdge !== null;
    graph.classList.toggle('focused', some);
    if (!some)
      return;
    if (wantedNode !== null)
      nodes[wantedNode].classList.add('near');
    edges.forEach((element) => {
      const i = Number(element.dataset.edge);
      const [from, to] = ends[i];
      if (element.classList.contains('away') || !(i === wantedEdge || from === wantedNode || to === wantedNode))
        return;
      element.classList.add('near');
      nodes[from].classList.add('near');
      nodes[to].classList.add('near');
    });
  };
  let chosen = { node: null, edge: null };
  const back = () => focusOn(chosen.node, chosen.edge);

  // ---- the panel

  const ruleText = (policy, rule) => {
    if (policy === null)
      return null;
    return rule === null ? `${policy}, isolation` : `${policy}, rule ${rule}`;
  };
  const addFact = (list, term, text) => {
    if (text === null || text === undefined)
      return;
    list.append(make('dt', '', term), make('dd', '', text));
  };
  const addRuling = (list, title, said, audit) => {
    if (!said)
      return;
    addFact(list, title, ruleText(said.policy, said.rule) || `no policy (${said.reason})`);
    if (said.policy !== null)
      addFact(list, 'reason', said.reason);
    if (audit)
      addFact(list, 'would drop', `${ruleText(said.auditPolicy, said.auditRule) || 'no policy'} (${said.auditReason})`);
  };
  const flowOf = (port) => {
    const verdict = port.verdict.toLowerCase();
    const flow = make('section', 'flow'), head = make('div', 'head'), list = make('dl');
    head.append(make('span', 'port', port.port), make('span', 'verdict ' + verdict, verdict),
      make('span', 'count', number(port.count)));
    addRuling(list, port.ingress ? 'sender' : 'policy', port.egress, verdict === 'audit');
    addRuling(list, port.egress ? 'receiver' : 'policy', port.ingress, verdict === 'audit');
    addFact(list, 'last seen', time(port.lastSeen));
    addFact(list, 'first seen', time(port.firstSeen));
    flow.append(head, list);
    return flow;
  };
  const openPanel = (heading, content) => {
    get('heading').replaceChildren(...heading);
    get('content').replaceChildren(...content);
    get('content').scrollTop = 0;
    get('panel').hidden = false;
  };
  const summaryOf = (edge) => verdicts.filter((v) => edge[v]).map((v) => `${number(edge[v])} ${v}`).join(', ');

  const choose = (node, edge, hash) => {
    clear('chosen');
    chosen = { node, edge };
    if (node !== null)
      nodes[node].classList.add('chosen');
    edges.forEach((element) => element.classList.toggle('chosen', Number(element.dataset.edge) === edge));
    back();
    history.replaceState(null, '', hash || location.pathname + location.search);
  };
  const hashOf = (kind, ...ids) => `#${kind}=` + ids.map(encodeURIComponent).join(',');

  const chooseEdge = (i) => {
    const edge = data.edges[i], [from, to] = ends[i];
    const content = [make('p', 'facts', `${summaryOf(edge)}; last seen ${time(edge.lastSeen)}`)];
    content.push(...edge.ports.map(flowOf));
    if (edge.portsOmitted)
      content.push(make('p', 'facts', `and ${number(edge.portsOmitted)} more ports`));
    openPanel([make('span', '', nameOf(from)), make('span', 'arrow', ' \u2192 '), make('span', '', nameOf(to))], content);
    choose(null, i, hashOf('edge', edge.source, edge.destination));
  };

  const pairsOf = (title, list, other) => {
    if (!list.length)
      return [];
    const rows = make('ul', 'pairs');
    list.forEach((i) => {
      const row = make('button'), numbers = make('span', 'numbers'), item = make('li');
      row.type = 'button';
      verdicts.filter((v) => data.edges[i][v]).forEach((v) => {
        const count = make('span', 'verdict ' + v, number(data.edges[i][v]));
        count.title = v;
        numbers.append(count);
      });
      row.append(make('span', 'name', nameOf(ends[i][other])), numbers);
      row.addEventListener('click', () => chooseEdge(i));
      item.append(row);
      rows.append(item);
    });
    return [make('h3', '', title), rows];
  };
  const chooseNode = (i) => {
    const out = [], into = [];
    ends.forEach(([from, to], e) => {
      if (from === i)
        out.push(e);
      if (to === i)
        into.push(e);
    });
    openPanel([make('span', '', nameOf(i))], [...pairsOf('Opens connections to', out, 1),
      ...pairsOf('Is reached from', into, 0)]);
    choose(i, null, hashOf('node', data.nodes[i].id));
  };
  const close = () => {
    get('panel').hidden = true;
    choose(null, null, '');
  };
  get('close').addEventListener('click', close);

  nodes.forEach((element, i) => {
    element.addEventListener('pointerenter', () => focusOn(i, null));
    element.addEventListener('pointerleave', back);
    element.addEventListener('focus', () => focusOn(i, null));
    element.addEventListener('blur', back);
    element.addEventListener('keydown', (event) => {
      if (event.key === 'Enter' || event.key === ' ') {
        event.preventDefault();
        chooseNode(i);
        get('heading').focus();
      }
    });
  });
  edges.forEach((element) => {
    element.addEventListener('pointerenter', () => focusOn(null, Number(element.dataset.edge)));
    element.addEventListener('pointerleave', back);
  });
  graph.addEventListener('pointerup', (event) => {
    if (release())
      return;
    const hit = document.elementFromPoint(event.clientX, event.clientY);
    const node = hit && hit.closest('.node'), edge = hit && hit.closest('.edge');
    if (node)
      chooseNode(Number(node.dataset.node));
    else if (edge && edge.dataset.edge)
      chooseEdge(Number(edge.dataset.edge));
    else
      close();
  });

  // ---- filters

  const filter = () => {
    edges.forEach((element) => {
      const verdict = verdicts.find((v) => element.classList.contains(v));
      element.classList.toggle('away', !get(verdict).checked);
    });
    back();
  };
  verdicts.forEach((v) => get(v).addEventListener('change', filter));

  const count = (list, one, many) => `${number(list)} ${list === 1 ? one : many}`;
  const workloads = data.nodes.filter((node) => node.kind === 'workload');
  const namespaces = new Set(workloads.map((node) => node.group));
  const summarise = (found) => {
    const base = `${count(workloads.length, 'workload', 'workloads')} in ` +
      `${count(namespaces.size, 'namespace', 'namespaces')}, ${count(data.edges.length, 'pair', 'pairs')}` +
      (data.since ? ` since ${time(data.since)}` : '') + (data.lost ? `; ${number(data.lost)} may be missing` : '');
    get('summary').textContent = found === null ? base : `${number(found)} of ${number(data.nodes.length)} match`;
  };
  const search = () => {
    const words = get('search').value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = new Set();
    clear('match');
    graph.classList.toggle('searched', words.length > 0);
    data.nodes.forEach((node, i) => {
      if (words.length && words.every((word) => nameOf(i).toLowerCase().includes(word)))
        found.add(i);
    });
    edges.forEach((element) => {
      const [from, to] = ends[Number(element.dataset.edge)];
      if (!found.has(from) && !found.has(to))
        return;
      element.classList.add('match');
      nodes[from].classList.add('match');
      nodes[to].classList.add('match');
    });
    found.forEach((i) => nodes[i].classList.add('match'));
    summarise(words.length ? found.size : null);
    return [...found].map((i) => nodes[i]);
  };
  get('search').addEventListener('input', search);
  get('search').addEventListener('keydown', (event) => {
    if (event.key === 'Enter')
      fit(search());
  });

  document.addEventListener('keydown', (event) => {
    const step = 60 * scale();
    const keys = {
      '+': () => zoom(0.75), '=': () => zoom(0.75), '-': () => zoom(1 / 0.75), '0': () => fit(),
      '/': () => { event.preventDefault(); get('search').focus(); },
      ArrowLeft: () => { view.x -= step; show(); }, ArrowRight: () => { view.x += step; show(); },
      ArrowUp: () => { view.y -= step; show(); }, ArrowDown: () => { view.y += step; show(); },
    };
    if (event.key === 'Escape')
      return close();
    if (event.target.closest('input, aside') || event.ctrlKey || event.metaKey || event.altKey)
      return undefined;
    return keys[event.key] && keys[event.key]();
  });

  // ---- a place that a link names: #edge=shop%2Fweb,shop%2Fapi or #node=shop%2Fweb

  const open = () => {
    const [kind, rest] = location.hash.slice(1).split('=');
    const ids = (rest || '').split(',').map(decodeURIComponent);
    const edge = data.edges.findIndex((e) => e.source === ids[0] && e.destination === ids[1]);
    if (kind === 'edge' && edge >= 0)
      chooseEdge(edge);
    if (kind === 'node' && places.has(ids[0]))
      chooseNode(places.get(ids[0]));
  };
  window.addEventListener('hashchange', open);

  get('nothing').hidden = nodes.length > 0;
  summarise(null);
  open();
  document.body.dataset.nodes = nodes.length;
  document.body.dataset.edges = edges.length;
  document.body.dataset.ready = 'yes';
})();
