// Seeing, pointing and moving with a headset on, in a shop whose database of inventory is slow.
import { check, told, walk } from "./walking.mjs";
import { PAST, WELL, aim, alike, ask, distance, enter, frames, press, pull, stands, stick, until } from "./wearing.mjs";

/** Where the corners of a name are, from the head, in metres: as its shader places them. */
function corners({ way, radius, side, wide, tall }, metres) {
  const away = Math.hypot(...way) * metres;
  const towards = way.map((value) => (-value * metres) / away);
  const flat = Math.hypot(towards[0], towards[1]);
  const right = [-towards[1] / flat, towards[0] / flat, 0];
  const up = [towards[1] * right[2] - towards[2] * right[1], towards[2] * right[0] - towards[0] * right[2], towards[0] * right[1] - towards[1] * right[0]];
  const pixel = Math.max(0.0003, away * (1.3 / 36) * (Math.PI / 180));
  check((pixel / away) * 28 * (180 / Math.PI) >= 1, "the second line is too small");
  return [[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]].map(([x, y]) =>
    [0, 1, 2].map((axis) => way[axis] * metres + towards[axis] * radius * metres + up[axis] * (side * radius * metres * 1.1 + (side * 0.5 + y) * tall * pixel) + right[axis] * x * wide * pixel),
  );
}

/** Whether a plane through the head has one name on each of its sides: then they do not lie on each other from there. */
function divided(one, other) {
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const dot = (a, b) => a.reduce((sum, value, axis) => sum + value * b[axis], 0);
  return [one, other].some((quad) => {
    const rest = quad === one ? other : one;
    return quad.some((corner, at) => {
      const plane = cross(corner, quad[(at + 1) % 4]);
      const own = Math.sign(dot(plane, quad[(at + 2) % 4]));
      return rest.every((each) => own * dot(plane, each) <= 0);
    });
  });
}

/** Whether a name lies on what is seen in a direction. */
function covers(quad, way) {
  const side = quad.map((corner, at) => {
    const [a, b] = [corner, quad[(at + 1) % 4]];
    return Math.sign((a[1] * b[2] - a[2] * b[1]) * way[0] + (a[2] * b[0] - a[0] * b[2]) * way[1] + (a[0] * b[1] - a[1] * b[0]) * way[2]);
  });
  return side.every((each) => each === side[0]) && quad[0].reduce((sum, value, axis) => sum + value * way[axis], 0) > 0;
}

/** Whether a ball is before the middle line of a name, so that letters are hidden. */
function before({ way, radius }, quad) {
  const away = Math.hypot(...way);
  for (let step = 0; step <= 20; step++) {
    const [left, right] = [[0, 3], [1, 2]].map(([low, high]) => quad[low].map((value, axis) => (value + quad[high][axis]) / 2));
    const at = left.map((value, axis) => value + ((right[axis] - value) * step) / 20);
    const far = Math.hypot(...at);
    const angle = Math.acos(Math.min(1, at.reduce((sum, value, axis) => sum + value * way[axis], 0) / (far * away)));
    if (angle < 0.9 * Math.asin(Math.min(1, radius / away)) && far > away) return true;
  }
  return false;
}

const ways = {
  async "two eyes see the world, each from its own place"(page) {
    await enter(page, WELL);
    await ask(page, "void headset.enter('room')");
    await until(page, "!headset.vignette.mesh.visible");
    // Nothing but bodies: what hides them is no fault.
    await ask(page, "void stage.scene.traverse((each) => (each.isMesh || each.isLine) && !stage.kinds.includes(each) && each.layers.disableAll())");
    await frames(page);
    const services = await ask(page, "[...stage.world.services]");
    const colours = await ask(page, "stage.world.services.map((_, body) => stage.bodyColour(body).toArray())");
    const { other, eyes } = await page.evaluate((names) => window.seenByBoth(names), services);
    check(eyes.length === 2, `${eyes.length} eyes`);
    check(other > 0.005, `both eyes see the same: ${other}`);
    const sky = await ask(page, "stage.renderer.getClearColor(stage.palette.ground.clone()).toArray()");
    check(alike(sky, colours[0]) < 0.9, "the sky looks like a body");
    for (const eye of eyes) {
      const seen = eye.map(({ seen, colour }, body) => (seen ? alike(colour, colours[body]) : null)).filter((each) => each !== null);
      const right = seen.filter((each) => each > 0.96).length;
      check(seen.length > 8 && right > 0.9 * seen.length, `${right} of ${seen.length} are where they are said to be`);
    }
    const apart = eyes[0].map(({ across, seen }, body) => (seen ? across - eyes[1][body].across : 1));
    check(apart.every((shift) => shift > 0), `the eyes are the wrong way round: ${apart}`);
  },
  async "a ray picks whom it points at, and the panel says what the page says"(page) {
    await enter(page, PAST);
    for (const [service, side] of [["payment", "right"], [told.database, "left"], ["email", "right"]]) {
      await aim(page, service, side);
      const met = await ask(page, "headset.hands.hands.map(({ body }) => (body === null ? null : stage.world.services[body]))");
      check(met.includes(service), `${side} at ${service} meets ${met}`);
      await page.evaluate((hand) => window.device.controllers[hand].quaternion.set(0.7071, 0, 0, 0.7071), side);
      await frames(page);
    }
    await aim(page, told.database, "left");
    await until(page, "headset.tags.shown.includes(stage.world.table('bodies').words('label')[stage.world.services.indexOf(given)])", told.database);
    await pull(page, "left");
    await page.waitForFunction((name) => new URLSearchParams(location.hash.split("?")[1]).get("service") === name, told.database);
    await until(page, "headset.panel.told.some((line) => line.startsWith('p50'))");
    const lines = await ask(page, "headset.panel.told");
    const answer = await (await fetch(`${told.url}/ask/service?${new URLSearchParams({ name: told.database, since: told.broken[0], until: told.broken[1] })}`)).json();
    check(lines.includes(told.database) && lines.includes(`${answer.node.state} · database`), lines.join("\n"));
    check(answer.reason === "" || lines.includes(answer.reason), `it does not say why: ${lines}`);
    check(lines.some((line) => line.startsWith("Likely cause: ")), `it names no cause: ${lines}`);
    check(lines.some((line) => /^PAST \d{4}-/.test(line)), "it looks live");
    check((await ask(page, "headset.panel.board.degrees(34, headset.head)")) >= 1, "too small to read");
    await press(page, "panel", "close");
    await page.waitForFunction(() => !location.hash.includes("service="));
    await until(page, "!headset.panel.board.mesh.visible");
  },
  async "one is put before whom one wants to see, and in nobody"(page) {
    await enter(page, WELL);
    for (const service of await ask(page, "[...stage.world.services]")) {
      await ask(page, "void headset.goTo(given)", service);
      const { away, room, ahead, level } = await ask(
        page,
        "(() => { const { rig, head, forward } = headset; const at = rig.toWorld(head.clone()); const own = rig.toOwn(window.placeOf(given)).sub(head); const turn = Math.atan2(own.x, -own.z) - Math.atan2(forward.x, -forward.z); return { away: own.length(), room: rig.room(at.x, at.y, (at.z - rig.ground) * rig.metres, stage.world), ahead: Math.cos(turn), level: Math.asin(own.y / own.length()) }; })()",
        service,
      );
      check(away < 6 && ahead > 0.99 && Math.abs(level) < 0.3, `${service} is ${away} m away, ${ahead}, ${level}`);
      check(room > 0.3, `before ${service} one stands ${room} m from somebody`);
    }
  },
  async "names are legible from anywhere and never lie on each other"(page) {
    await enter(page, WELL);
    for (const scale of ["table", "room", "asked for"]) {
      if (scale !== "asked for") await ask(page, "void headset.enter(given)", scale);
      else {
        // Those that somebody asks for lie on nobody either.
        await ask(page, "void headset.enter('table')");
        await page.evaluate(() => (location.hash += "&service=checkout"));
        await until(page, "stage.selected === 'checkout'");
        await aim(page, "inventory");
      }
      await frames(page, 4);
      await until(page, "performance.now() - headset.named < 200");
      const { names, metres } = await ask(
        page,
        "({ metres: headset.rig.metres, names: headset.tags.shown.map((name, at) => { const way = headset.head.clone().fromArray(headset.tags.places, 3 * at).sub(headset.rig.toWorld(headset.head.clone())); const [radius, side, wide, tall] = headset.tags.hung.slice(4 * at); return { name, way: way.toArray(), radius, side, wide, tall }; }) })",
      );
      check(names.length > 5, `${names.length} names`);
      const quads = names.map((name) => corners(name, metres));
      const bodies = await ask(
        page,
        "(() => { const { rig, head } = headset; const eye = rig.toWorld(head.clone()); const radii = stage.world.table('bodies').numbers('radius'); return stage.world.services.map((service, body) => ({ service, way: window.placeOf(service).sub(eye).multiplyScalar(rig.metres).toArray(), radius: radii[body] * rig.metres })); })()",
      );
      const asked = await ask(page, "stage.world.table('bodies').words('label')[headset.pointed] ?? null");
      const meant = await ask(page, "[stage.selected, stage.world.services[headset.pointed]].filter((service) => service != null)");
      const labels = await ask(page, "Object.fromEntries(stage.world.services.map((service, body) => [service, stage.world.table('bodies').words('label')[body]]))");
      for (const { service, way } of bodies.filter(({ service }) => meant.includes(service))) names.forEach(({ name }, at) => check(name === labels[service] || !covers(quads[at], way), `${scale}: ${name} is taken for ${service}`));
      names.forEach(({ name, side, radius }, at) => {
        // Whom a hand points at is named whoever is before it; a flag stands above all.
        if (name !== asked && !(side === 1 && radius === 0)) for (const body of bodies) check(!before(body, quads[at]), `${scale}: ${body.service} is before ${name}`);
        for (let other = 0; other < at; other++) check(divided(quads[at], quads[other]), `${scale}: ${name} lies on ${names[other].name}`);
      });
    }
  },
  async "who is chosen has an outline from all sides"(page) {
    await enter(page, `${PAST}&service=payment`);
    await until(page, "headset.outline.mesh.visible");
    const { at, facing } = await ask(
      page,
      "(() => { const { mesh } = headset.outline; const way = headset.rig.toWorld(headset.head.clone()).sub(mesh.position).normalize(); return { at: mesh.position.distanceTo(window.placeOf('payment')), facing: way.dot(mesh.position.clone().set(0, 0, 1).applyQuaternion(mesh.quaternion)) }; })()",
    );
    check(at < 1e-4 && facing > 0.999, `it is ${at} away, and turned ${facing}`);
    await page.evaluate(() => (location.hash = location.hash.replace("&service=payment", "")));
    await until(page, "!headset.outline.mesh.visible");
  },
  async "the panel comes along"(page) {
    await enter(page, `${PAST}&service=payment`);
    const away = () => ask(page, "headset.panel.board.mesh.position.clone().sub(headset.head).normalize().dot(headset.forward)");
    await until(page, "headset.panel.board.mesh.visible");
    await page.evaluate(() => window.device.quaternion.set(0, Math.sin(1.2), 0, Math.cos(1.2)));
    await frames(page, 30);
    check((await away()) > 0.7, `it stayed behind: ${await away()}`);
    check((await ask(page, "headset.panel.board.degrees(34, headset.head)")) >= 1, "too small to read");
  },
  async "one teleports along an arc, and not out of the world"(page) {
    await enter(page, PAST);
    const before = await stands(page);
    await page.evaluate(() => window.device.controllers.right.quaternion.set(0, 0, 0, 1));
    await stick(page, "right", 0, -1);
    check((await ask(page, "headset.hands.aimed")) === "good", "nowhere to go");
    check(await ask(page, "headset.hands.marks.visible && headset.hands.rays.geometry.instanceCount === 2"), "no arc");
    check(distance(before, await stands(page)) < 1e-6, "gone before the stick is let go");
    const target = await ask(page, "headset.hands.target.toArray()");
    await stick(page, "right", 0, 0);
    const after = await stands(page);
    check(distance(after.slice(0, 2), target.slice(0, 2)) < 1e-3, `at ${after} instead of ${target}`);
    check(distance(before, after) > 1, "nobody moved");
    check(Math.abs(after[2] - before[2]) < 1e-3, "the floor is elsewhere");
    // Backwards, beyond everything.
    await page.evaluate(() => window.device.controllers.right.quaternion.set(0, 0.976, -0.216, 0));
    for (let hop = 0; hop < 6 && (await ask(page, "headset.hands.aimed")) !== "bad"; hop++) {
      await stick(page, "right", 0, 0);
      await stick(page, "right", 0, -1);
    }
    check((await ask(page, "headset.hands.aimed")) === "bad", "the world has no end");
    const edge = await stands(page);
    await stick(page, "right", 0, 0);
    check(distance(edge, await stands(page)) < 1e-6, "one is out of the world");
  },
  async "turns are in steps, around one's own head"(page) {
    await enter(page, PAST);
    await page.evaluate(() => window.device.position.set(0.3, 1.25, 0.4));
    await frames(page);
    const before = await stands(page);
    const yaw = async () => ((await ask(page, "headset.rig.yaw")) * 180) / Math.PI;
    const first = await yaw();
    await stick(page, "right", 1, 0);
    await frames(page, 8);
    check(Math.abs((await yaw()) - first + 30) < 1e-6, `turned by ${(await yaw()) - first}`);
    check(distance(before, await stands(page)) < 1e-6, "the head has moved");
    await stick(page, "right", 0, 0);
    await press(page, "strip", "turn");
    await stick(page, "right", -1, 0);
    check(Math.abs((await yaw()) - first - 15) < 1e-6, `turned back by ${(await yaw()) - first}`);
  },
  async "flying darkens the edge of sight, and stays in the world"(page) {
    await enter(page, PAST);
    await until(page, "!headset.vignette.mesh.visible");
    const before = await stands(page);
    await page.evaluate(() => window.device.controllers.left.quaternion.set(0, 0, 0, 1));
    await stick(page, "left", 0, -1);
    await until(page, "headset.vignette.mesh.visible && headset.vignette.closed > 0.5");
    await stick(page, "left", 0, 0);
    check((await stands(page))[1] > before[1] + 0.1, "it goes elsewhere");
    await until(page, "!headset.vignette.mesh.visible");
    await page.evaluate(() => window.device.controllers.left.quaternion.set(-0.7071, 0, 0, 0.7071));
    await stick(page, "left", 0, -1);
    await frames(page, 25);
    check((await stands(page))[2] >= (await ask(page, "headset.rig.ground")), "under the ground");
    await stick(page, "left", 0, 0);
    for (const [x, y, z] of [[90, 0, 0], [-90, 0, 0], [0, 0, 90], [0, 0, -90], [0, 90, 0]]) {
      await ask(page, "void headset.rig.fly(headset.head.clone().set(...given), headset.head)", [x, y, z]);
      const { metres, extent } = await ask(page, "headset.rig");
      const at = await stands(page);
      const beyond = Math.max(Math.abs(at[0] - extent.x) - extent.wide, Math.abs(at[1] - extent.y) - extent.deep, at[2] - extent.top) * metres;
      check(beyond < 2.01, `${beyond} m out of the world`);
    }
  },
  async "squeezed, the hands change their parts"(page) {
    await enter(page, PAST);
    const before = await ask(page, "headset.rig.yaw");
    await page.evaluate(() => window.device.controllers.left.updateButtonValue("squeeze", 1));
    await stick(page, "left", 1, 0);
    check((await ask(page, "headset.rig.yaw")) !== before, "the left hand does not turn");
  },
  async "a bare hand picks, and goes where it pinches the ground"(page) {
    await enter(page, PAST);
    const before = await stands(page);
    await page.evaluate(() => {
      window.device.primaryInputMode = "hand";
      const { right } = window.device.hands;
      right.position.set(0.2, 1.1, -0.2);
      right.quaternion.set(-0.15, -0.38, 0, 0.91);
    });
    await frames(page, 4);
    await page.evaluate(() => window.device.hands.right.updatePinchValue(1));
    await frames(page, 4);
    await page.evaluate(() => window.device.hands.right.updatePinchValue(0));
    await frames(page, 4);
    check(distance(before, await stands(page)) > 0.3, "nobody moved");
  },
  async "few draw calls, and nothing new from frame to frame"(page) {
    await enter(page, `${PAST}&service=payment`);
    await stick(page, "right", 0, -1);
    await stick(page, "left", 0, -1);
    await frames(page, 6);
    // The headset's frames alone: the page's own loop has ended.
    const drawn = await ask(page, "headset.frames");
    await page.waitForTimeout(300);
    check((await ask(page, "headset.frames")) === drawn, "the page draws it as well");
    const { calls, both } = await ask(page, "({ calls: headset.calls, both: stage.renderer.xr.getCamera().cameras.length })");
    check(both === 2 && calls / 2 <= 30, `${calls} draw calls for ${both} eyes`);
    check(calls <= 40, `${calls} draw calls together`);
    await stick(page, "right", 0, 0);
    await stick(page, "left", 0, 0);
    await frames(page, 30);
    const memory = () => ask(page, "JSON.stringify(stage.renderer.info.memory)");
    const before = await memory();
    const buffers = await ask(page, "(window.kept = headset.hands.rays.geometry.getAttribute('begin'), headset.frames)");
    await until(page, "headset.frames > given + 20", buffers);
    check((await memory()) === before, `${before} became ${await memory()}`);
    check(await ask(page, "window.kept === headset.hands.rays.geometry.getAttribute('begin')"), "buffers are made anew");
  },
};

await walk(ways, { width: 720, height: 450 });
