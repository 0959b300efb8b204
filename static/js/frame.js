// Opens a provider's signing page inside that provider's own client, and goes back when it is done.
(() => {
  const place = document.getElementById("frame");
  const Client = window.HelloSign;
  if (!place || !Client) return;
  const back = () => { window.location.assign(place.dataset.return); };
  const client = new Client({ clientId: place.dataset.client });
  for (const event of ["finish", "sign", "decline", "cancel", "close"]) client.on(event, back);
  client.open(place.dataset.url, { testMode: place.dataset.test === "yes", skipDomainVerification: place.dataset.test === "yes" });
})();
