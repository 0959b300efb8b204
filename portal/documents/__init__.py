"""PDFs in and out: render, intake, images, sealing, the store. Knows no table and no request."""
