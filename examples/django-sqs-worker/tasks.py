def send_mail(to):
    if "@" not in to:
        raise ValueError(f"not an address: {to}")
    print(f"mail sent to {to}", flush=True)
